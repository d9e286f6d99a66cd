//! `pkg`: the life of a package on a laptop, in kpt's words.

mod diff;
mod get;
mod init;
mod tree;
mod update;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};

use super::super::Done;
use super::super::args::{Global, Pkg, PkgVerb};
use super::super::files;
use super::super::output::note;
use crate::app::packages::{FetchError, Fetched, fetch, printable};
use crate::domain::krm::object::visible;
use crate::domain::package::reference::{Location, with_reference};
use crate::domain::package::upgrade::{Lock, Source, escaping_links, source};
use crate::domain::source::FileTree;

pub(crate) fn pkg(global: &Global, args: &Pkg) -> anyhow::Result<Done> {
    match &args.verb {
        PkgVerb::Get(args) => get::get(global, args),
        PkgVerb::Init(args) => init::init(global, args),
        PkgVerb::Update(args) => update::update(global, args),
        PkgVerb::Diff(args) => diff::diff(global, args),
        PkgVerb::Tree(args) => tree::tree(global, args),
    }
}

/// Where what is fetched is kept, such as mirrors of repositories: the data directory when one is named, else
/// `KPT_CACHE_DIR`, else the user's cache.
pub(super) fn cache(global: &Global) -> PathBuf {
    let named = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = || named("XDG_CACHE_HOME").or_else(|| Some(named("HOME")?.join(".cache"))).map(|dir| dir.join("loggia"));
    if let (None, Some(kpt)) = (&global.data_dir, named("KPT_CACHE_DIR")) {
        return kpt;
    }
    global.data_dir.clone().or_else(user).unwrap_or_else(|| global.data_dir()).join("cache")
}

/// A local package, and the version that was asked for.
struct Local {
    root: PathBuf,
    tree: FileTree,
    source: Source,
    reference: Option<String>,
}

impl Local {
    /// Reads `DIR[@REF]`.
    fn read(package: &str) -> anyhow::Result<Self> {
        let is_whole = Path::new(package).is_dir();
        let (directory, reference) = if is_whole { (package, None) } else { with_reference(package) };
        let root = PathBuf::from(if directory.is_empty() { "." } else { directory });
        let tree = files::read(&root).with_context(|| format!("reading package {}", root.display()))?;
        let found = source(&tree).map_err(|problem| anyhow!("{}/{problem}", root.display()))?;
        let Some(source) = found else {
            bail!(
                "{}/Kptfile has no upstream git repository; only what `loggia pkg get` fetched can be compared or updated",
                root.display()
            )
        };
        Ok(Self { root, tree, source, reference: reference.map(str::to_owned) })
    }

    fn name(&self) -> String {
        name_of(&self.root)
    }
}

/// The last part of a path, also of `.`.
fn name_of(path: &Path) -> String {
    let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    whole.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Says what is going on, where kpt says it.
fn progress(global: &Global, text: &str) {
    if !global.quiet {
        note(text);
    }
}

fn fetched(global: &Global, location: &Location) -> anyhow::Result<Fetched> {
    trusted(global, location, None)
}

/// A version, when it is signed by somebody in the file that is named.
fn trusted(global: &Global, location: &Location, signed_by: Option<&Path>) -> anyhow::Result<Fetched> {
    let fetched = fetch(location, &cache(global), signed_by).map_err(|error| unfetched(location, &error))?;
    refuse_links(&fetched.tree).with_context(|| format!("{} at {}", act(location), fetched.revision))?;
    Ok(fetched)
}

fn act(location: &Location) -> String {
    match location.directory.as_str() {
        "" => format!("fetching the root of {}", visible(&printable(&location.repo))),
        directory => format!("fetching package {directory}"),
    }
}

/// What failed, and why; the repository is named once.
fn unfetched(location: &Location, error: &FetchError) -> anyhow::Error {
    let (act, why) = (act(location), error.to_string());
    let repeated = format!("{}: ", visible(&printable(&location.repo)));
    let is_root = location.directory.is_empty();
    anyhow!("{act}: {}", why.strip_prefix(&repeated).filter(|_| is_root).unwrap_or(&why))
}

/// Links out of a package could read or write anything.
fn refuse_links(tree: &FileTree) -> anyhow::Result<()> {
    let wrong = escaping_links(tree);
    if wrong.is_empty() {
        return Ok(());
    }
    bail!("{}", wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
}

/// The version that a package follows, or another one of it.
fn upstream(source: &Source, reference: Option<&str>) -> Location {
    let followed = Some(source.reference.clone()).filter(|reference| !reference.is_empty());
    Location {
        repo: source.repo.clone(),
        directory: source.directory.clone(),
        reference: reference.map(str::to_owned).or(followed),
    }
}

/// The version that a package was made from.
fn origin(lock: &Lock) -> Location {
    Location { repo: lock.repo.clone(), directory: lock.directory.clone(), reference: Some(lock.revision.clone()) }
}
