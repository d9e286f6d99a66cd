//! Which package of which repository in which version: `REPO[/DIR][@REF]`, and what a REF leads to.
//!
//! Source: kpt's `pkg get` (a repository is delimited by `.git`, a tag `DIR/REF` is preferred to `REF`), Porch's tags
//! (`pkg/v1`).

use std::collections::BTreeMap;

use semver::Version;

use super::artifact::{ArtifactError, ImageName, SCHEME, Wanted, without_user};
use super::versions::Versions;
use crate::domain::host::{is_ssh, without_credentials};
use crate::domain::id::CommitId;
use crate::domain::source::{InvalidPath, check_path};

/// A place in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// URL or path; `oci://HOST/REPOSITORY` for one in a registry.
    pub repo: String,
    /// Directory in it, without slashes around; empty for the root.
    pub directory: String,
    /// Branch, tag, commit, digest or range of versions; `None` for the default branch.
    pub reference: Option<String>,
}

/// What a REF leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A branch or a tag.
    Ref {
        /// Its name without `refs/heads/` or `refs/tags/`.
        name: String,
        /// The commit it leads to.
        commit: CommitId,
    },
    /// The beginning of a commit id, or a whole one: at least 7 hex digits.
    Commit(String),
}

/// Why a place or a REF means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Where the repository ends cannot be told.
    #[error(
        "reading {text:?}: where does the repository end and the directory begin? End the repository with .git, as in \
         https://example.com/repo.git/dir@v1 [git.url_invalid]"
    )]
    NoRepository {
        /// What was given.
        text: String,
    },
    /// No repository is at a path on this machine, or at the beginning of it.
    #[error(
        "reading {text:?}: neither this path nor a part of it is a git repository on this machine; is it written \
         rightly, and from here? A repository elsewhere is named by its URL and ends with .git, as in \
         https://example.com/repo.git/dir@v1 [git.missing]"
    )]
    NotHere {
        /// What was given.
        text: String,
    },
    /// Not a place in a registry.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A directory that leaves the repository.
    #[error("reading {text:?}: {source} [{}]", source.code)]
    Directory {
        /// What was given.
        text: String,
        /// The rule.
        source: InvalidPath,
    },
    /// Not a name that git allows.
    #[error("{reference:?} names no branch, tag, commit or range of versions: {why} [git.ref_invalid]")]
    Invalid {
        /// What was given.
        reference: String,
        /// The rule.
        why: &'static str,
    },
    /// What tells git to move or delete refs.
    #[error(
        "{reference:?} is a refspec, which moves or deletes refs; name one branch, tag, commit or range of versions \
         [git.refspec_denied]"
    )]
    Refspec {
        /// What was given.
        reference: String,
    },
    /// A branch and a tag of the same name.
    #[error(
        "{reference} is both a branch ({branch}) and a tag ({tag}); name one: refs/heads/{reference} or refs/tags/{reference} [git.ref_ambiguous]"
    )]
    Ambiguous {
        /// What was given.
        reference: String,
        /// Where the branch leads.
        branch: CommitId,
        /// Where the tag leads.
        tag: CommitId,
    },
    /// There is none.
    #[error("there is no branch, tag or commit {reference}{known} [git.ref_not_found]")]
    NotFound {
        /// What was given.
        reference: String,
        /// What there is instead.
        known: String,
    },
    /// No tag is in the range.
    #[error("no tag is in the range {range}{known} [git.ref_not_found]")]
    NoVersion {
        /// What was given.
        range: String,
        /// What there is instead.
        known: String,
    },
    /// A repository without any branch or tag.
    #[error("the repository is empty: it has no branch and no tag; push a commit to it first [git.empty]")]
    Empty,
    /// A repository without a branch that could be meant.
    #[error(
        "the repository has no branch main or master and not exactly one other; name a version with @REF [git.ref_not_found]"
    )]
    NoDefault,
}

/// Forges whose repositories are the first two parts of a path.
const FORGES: [&str; 3] = ["https://github.com/", "https://gitlab.com/", "https://bitbucket.org/"];

impl ReferenceError {
    /// Nobody can tell where the repository ends.
    fn endless(text: &str) -> Self {
        let shown = without_credentials(text);
        if text.contains("://") { Self::NoRepository { text: shown } } else { Self::NotHere { text: shown } }
    }

    /// The code of what [`check`] says.
    #[must_use]
    pub fn code(&self) -> &'static str {
        if matches!(self, Self::Refspec { .. }) { "git.refspec_denied" } else { "git.ref_invalid" }
    }
}

impl Location {
    /// Reads `REPO[/DIR][@REF]`, or `oci://HOST/REPOSITORY[//DIR]` with `:TAG`, `@DIGEST` or `:RANGE` behind it.
    /// `is_repository` tells whether a path on this machine is one.
    ///
    /// # Errors
    /// [`ReferenceError`].
    pub fn parse(text: &str, is_repository: impl Fn(&str) -> bool) -> Result<Self, ReferenceError> {
        if text.starts_with(SCHEME) {
            return Self::in_registry(text);
        }
        if let Some(found) = on_a_page(text) {
            return found;
        }
        let (place, reference) = with_reference(text);
        let reference = reference.filter(|reference| !reference.is_empty());
        let mut ends = place.match_indices(".git").map(|(at, word)| at + word.len());
        let marked = ends.find(|end| matches!(place.as_bytes().get(*end), None | Some(b'/')));
        let end = marked.or_else(|| on_a_forge(place)).or_else(|| on_this_machine(place, &is_repository));
        // What cannot be fetched at all is not asked where it ends.
        let end = end.or_else(|| is_ssh(place).then_some(place.len()));
        let end = end.ok_or_else(|| ReferenceError::endless(text))?;
        Ok(Self {
            repo: on_disk(&place[..end], is_repository).to_owned(),
            directory: directory(&place[end..], text)?,
            reference: reference.map(str::to_owned),
        })
    }

    /// A tag is behind a colon and a digest behind an `@`; a range may be behind either.
    fn in_registry(text: &str) -> Result<Self, ReferenceError> {
        without_user(text)?;
        version_in_front(text)?;
        let (place, digest) = text.split_once('@').map_or((text, None), |(place, digest)| (place, Some(digest)));
        let colon = place.rfind(':').filter(|at| place[*at..].find('/').is_none() && *at >= SCHEME.len());
        let (place, tag) = colon.map_or((place, None), |at| (&place[..at], Some(&place[at + 1..])));
        let name = place.strip_prefix(SCHEME).unwrap_or(place);
        let (name, inner) = name.split_once("//").unwrap_or((name, ""));
        let name = ImageName::parse(&format!("{SCHEME}{name}"))?;
        let reference = match (tag, digest) {
            (Some(tag), Some(digest)) => Some(format!("{tag}@{digest}")),
            (one, other) => one.or(other).map(str::to_owned),
        };
        reference.as_deref().map(Wanted::parse).transpose()?;
        Ok(Self { repo: format!("{SCHEME}{name}"), directory: directory(inner, text)?, reference })
    }
}

/// Refuses a tag, a range or a digest in front of `//DIR`.
fn version_in_front(text: &str) -> Result<(), ArtifactError> {
    let name = text.strip_prefix(SCHEME).unwrap_or(text);
    let Some((front, inner)) = name.split_once("//") else { return Ok(()) };
    let slash = front.find('/').unwrap_or(front.len());
    let Some(at) = front[slash..].find([':', '@']).map(|at| slash + at) else { return Ok(()) };
    let (name, version) = front.split_at(at);
    let why = format!("the version stands behind the directory: {SCHEME}{name}//{}{version}", inner.trim_matches('/'));
    Err(ArtifactError::Reference { text: text.chars().take(300).collect(), why })
}

fn directory(path: &str, text: &str) -> Result<String, ReferenceError> {
    let directory = path.trim_matches('/');
    if !directory.is_empty() {
        check_path(directory).map_err(|source| ReferenceError::Directory { text: text.to_owned(), source })?;
    }
    Ok(directory.to_owned())
}

/// Splits `PLACE@REF`; an `@` in front of a host is none.
#[must_use]
pub fn with_reference(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once('@') {
        Some((place, reference)) if !is_user(place, reference) => (place, Some(reference)),
        _ => (text, None),
    }
}

fn is_user(before: &str, behind: &str) -> bool {
    // `git@host:repo.git`
    if behind.contains(':') && !before.contains(['/', '.']) {
        return true;
    }
    before.rsplit_once("://").is_some_and(|(_, rest)| !rest.contains('/')) && behind.contains(['/', '.'])
}

/// A page of GitHub, `https://github.com/OWNER/REPO/tree/REF/DIR`; a REF with a slash in it cannot be told from a
/// directory.
fn on_a_page(text: &str) -> Option<Result<Location, ReferenceError>> {
    let parts: Vec<&str> = text.strip_prefix(FORGES[0])?.trim_end_matches('/').split('/').collect();
    let [owner, name, "tree", reference, inner @ ..] = parts.as_slice() else { return None };
    let repo = format!("{}{owner}/{name}", FORGES[0]);
    Some(directory(&inner.join("/"), text).map(|directory| Location {
        repo,
        directory,
        reference: Some((*reference).to_owned()),
    }))
}

fn on_a_forge(place: &str) -> Option<usize> {
    let forge = FORGES.iter().find(|forge| place.starts_with(**forge))?;
    let mut parts = place[forge.len()..].splitn(3, '/');
    let (owner, name) = (parts.next()?, parts.next()?);
    (!owner.is_empty() && !name.is_empty()).then(|| forge.len() + owner.len() + 1 + name.len())
}

/// A repository without the `.git` that only marks its end: that of a work tree on this machine.
fn on_disk(repo: &str, is_repository: impl Fn(&str) -> bool) -> &str {
    let path = |repo: &str| repo.strip_prefix("file://").unwrap_or(repo).to_owned();
    let bare = repo.strip_suffix(".git").filter(|bare| !bare.ends_with('/'));
    bare.filter(|bare| !path(bare).contains("://") && !is_repository(&path(repo)) && is_repository(&path(bare)))
        .unwrap_or(repo)
}

/// The longest path that is a repository.
fn on_this_machine(place: &str, is_repository: impl Fn(&str) -> bool) -> Option<usize> {
    let path = place.strip_prefix("file://").unwrap_or(place);
    if path.contains("://") {
        return None;
    }
    let offset = place.len() - path.len();
    let cuts = path.match_indices('/').map(|(at, _)| at).filter(|at| *at > 0).chain([path.len()]);
    let found: Vec<usize> = cuts.filter(|at| is_repository(&path[..*at])).collect();
    found.last().map(|at| at + offset)
}

/// A version, with `v` or without, of one to three numbers.
fn version(text: &str) -> Option<Version> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let missing = 2_usize.checked_sub(numbers.matches('.').count())?;
    let (head, tail) = text.split_at(numbers.len());
    Version::parse(&format!("{head}{}{tail}", ".0".repeat(missing))).ok()
}

/// What a REF leads to among the refs of a repository; `directory` is the package's, whose own tags come first, and
/// `head` the branch that HEAD names, which is meant by `HEAD` and where there is no REF.
///
/// # Errors
/// [`ReferenceError`].
pub fn resolve(
    refs: &BTreeMap<String, CommitId>,
    head: Option<&str>,
    directory: &str,
    reference: Option<&str>,
) -> Result<Resolved, ReferenceError> {
    let Some(reference) = reference else { return default_branch(refs, head) };
    if let Some(range) = Versions::parse_marked(reference) {
        return newest(refs, directory, &range, reference);
    }
    check(reference)?;
    let own = (!directory.is_empty()).then(|| format!("{directory}/{reference}"));
    for name in own.iter().map(String::as_str).chain([reference]) {
        if let Some(found) = named(refs, name)? {
            return Ok(found);
        }
    }
    if reference == "HEAD" {
        return default_branch(refs, head);
    }
    let hex = reference.len() >= 7 && reference.len() <= 40 && reference.bytes().all(|b| b.is_ascii_hexdigit());
    if hex {
        return Ok(Resolved::Commit(reference.to_ascii_lowercase()));
    }
    Err(ReferenceError::NotFound { reference: reference.to_owned(), known: known(refs) })
}

fn named(refs: &BTreeMap<String, CommitId>, name: &str) -> Result<Option<Resolved>, ReferenceError> {
    let short = |full: &str| {
        let short = full.strip_prefix("refs/heads/").or_else(|| full.strip_prefix("refs/tags/"));
        short.unwrap_or(full).to_owned()
    };
    let found = |full: &str, commit: &CommitId| Resolved::Ref { name: short(full), commit: commit.clone() };
    if let Some(commit) = refs.get(name).filter(|_| name.starts_with("refs/")) {
        return Ok(Some(found(name, commit)));
    }
    let branch = refs.get(&format!("refs/heads/{name}"));
    let tag = refs.get(&format!("refs/tags/{name}"));
    match (branch, tag) {
        (Some(branch), Some(tag)) if branch != tag => {
            Err(ReferenceError::Ambiguous { reference: name.to_owned(), branch: branch.clone(), tag: tag.clone() })
        }
        (found_branch, found_tag) => Ok(found_branch.or(found_tag).map(|commit| found(name, commit))),
    }
}

/// Where HEAD names no branch that is there: `main`, `master` or the only one.
fn default_branch(refs: &BTreeMap<String, CommitId>, head: Option<&str>) -> Result<Resolved, ReferenceError> {
    if refs.is_empty() {
        return Err(ReferenceError::Empty);
    }
    if let Some(found) = head.map(|head| named(refs, head)).transpose()?.flatten() {
        return Ok(found);
    }
    let branches: Vec<&str> = refs.keys().filter_map(|name| name.strip_prefix("refs/heads/")).collect();
    let chosen = ["main", "master"].into_iter().find(|name| branches.contains(name));
    let only = if let [only] = branches[..] { Some(only) } else { None };
    let name = chosen.or(only).ok_or(ReferenceError::NoDefault)?;
    named(refs, &format!("refs/heads/{name}"))?.ok_or(ReferenceError::NoDefault)
}

fn newest(
    refs: &BTreeMap<String, CommitId>,
    directory: &str,
    range: &Versions,
    asked: &str,
) -> Result<Resolved, ReferenceError> {
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let tags = |prefix: &str| -> Vec<(Version, String, CommitId)> {
        let tags = refs.iter().filter_map(|(name, commit)| Some((name.strip_prefix("refs/tags/")?, commit)));
        tags.filter_map(|(name, commit)| Some((version(name.strip_prefix(prefix)?)?, name.to_owned(), commit.clone())))
            .collect()
    };
    let own = tags(&prefix);
    let all = if own.is_empty() { tags("") } else { own };
    match all.into_iter().filter(|(version, ..)| range.holds(version)).max() {
        Some((_, name, commit)) => Ok(Resolved::Ref { name, commit }),
        None => Err(ReferenceError::NoVersion { range: asked.to_owned(), known: known(refs) }),
    }
}

/// The newest of tags in a range, each with the version that it stands for.
pub(super) fn newest_tag<'t>(tags: impl Iterator<Item = (&'t str, String)>, range: &Versions) -> Option<&'t str> {
    let versions = tags.filter_map(|(tag, text)| Some((version(&text)?, tag)));
    versions.filter(|(version, _)| range.holds(version)).max().map(|(_, tag)| tag)
}

fn known(refs: &BTreeMap<String, CommitId>) -> String {
    let short = |name: &String| name.strip_prefix("refs/heads/").or(name.strip_prefix("refs/tags/")).map(str::to_owned);
    let names: Vec<String> = refs.keys().filter_map(short).collect();
    match names.len() {
        0 => "; the repository is empty".to_owned(),
        1..=10 => format!("; there are {}", names.join(", ")),
        more => format!("; there are {} and {} more", names[..10].join(", "), more - 10),
    }
}

/// git's rules for names (`git check-ref-format`), and none that a program could take for a flag or a refspec.
///
/// # Errors
/// [`ReferenceError::Invalid`] and [`ReferenceError::Refspec`].
pub fn check(reference: &str) -> Result<(), ReferenceError> {
    let shown = || reference.chars().take(120).collect();
    let refuse = |why| Err(ReferenceError::Invalid { reference: shown(), why });
    if reference.starts_with('+') || reference.contains(':') {
        return Err(ReferenceError::Refspec { reference: shown() });
    }
    if reference.is_empty() {
        return refuse("it is empty");
    }
    if reference.starts_with(['-', '/']) || reference.ends_with(['/', '.']) {
        return refuse("it begins with a dash or a slash, or ends with a slash or a dot");
    }
    if reference.chars().any(|c| c.is_control() || " ~^?*[\\".contains(c)) {
        return refuse("it holds a space, a control character or one of ~^?*[\\");
    }
    if reference.contains("..") || reference.contains("@{") || reference.contains("//") {
        return refuse("it holds .., @{ or //");
    }
    if reference.split('/').any(|part| part.starts_with('.') || matches!(part.rsplit_once('.'), Some((_, "lock")))) {
        return refuse("a part begins with a dot or ends with .lock");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(repo: &str, directory: &str, reference: Option<&str>) -> Location {
        Location { repo: repo.to_owned(), directory: directory.to_owned(), reference: reference.map(str::to_owned) }
    }

    #[test]
    fn places_are_read_as_kpt_reads_them() {
        let table = [
            ("https://e.com/o/r.git/a/b@v1", location("https://e.com/o/r.git", "a/b", Some("v1"))),
            ("https://e.com/r.git/@6fe2792", location("https://e.com/r.git", "", Some("6fe2792"))),
            ("https://e.com/r.git@feature/x", location("https://e.com/r.git", "", Some("feature/x"))),
            ("https://u:p@e.com/r.git", location("https://u:p@e.com/r.git", "", None)),
            ("https://u@e.com/r.git/d@~1", location("https://u@e.com/r.git", "d", Some("~1"))),
            ("https://github.com/o/r/d/e@main", location("https://github.com/o/r", "d/e", Some("main"))),
            ("https://github.com/o/r/tree/v1/d/e", location("https://github.com/o/r", "d/e", Some("v1"))),
            ("https://github.com/o/r/tree/main/", location("https://github.com/o/r", "", Some("main"))),
            ("file:///srv/r.git/d", location("file:///srv/r.git", "d", None)),
            ("/srv/plain/d@^1.2", location("/srv/plain", "d", Some("^1.2"))),
            ("file:///srv/plain/d", location("file:///srv/plain", "d", None)),
            ("/srv/plain.git/d@v1", location("/srv/plain", "d", Some("v1"))),
            ("file:///srv/plain.git/d", location("file:///srv/plain", "d", None)),
            ("/srv/plain/.git/d", location("/srv/plain/.git", "d", None)),
            ("/srv/r.git/web@web/v1", location("/srv/r.git", "web", Some("web/v1"))),
        ];
        for (text, expected) in table {
            assert_eq!(Location::parse(text, |path| path == "/srv/plain"), Ok(expected), "{text}");
        }
        let none = Location::parse("https://e.com/o/r/d", |_| false);
        assert!(matches!(none, Err(ReferenceError::NoRepository { .. })), "{none:?}");
        let out = Location::parse("/r.git/../x", |_| false);
        assert!(out.unwrap_err().to_string().contains("path.escape"));
    }

    fn refs(names: &[(&str, char)]) -> BTreeMap<String, CommitId> {
        let id = |digit: char| CommitId::new(String::from(digit).repeat(40)).unwrap();
        names.iter().map(|(name, digit)| ((*name).to_owned(), id(*digit))).collect()
    }

    fn found(refs: &BTreeMap<String, CommitId>, directory: &str, reference: Option<&str>) -> String {
        match resolve(refs, None, directory, reference) {
            Ok(Resolved::Ref { name, commit }) => format!("{name} {}", &commit.as_str()[..1]),
            Ok(Resolved::Commit(commit)) => format!("commit {commit}"),
            Err(error) => error.to_string().rsplit('[').next().unwrap().trim_end_matches(']').to_owned(),
        }
    }

    #[test]
    fn references_lead_where_they_say() {
        let refs = refs(&[
            ("refs/heads/main", 'a'),
            ("refs/heads/both", 'a'),
            ("refs/tags/both", 'b'),
            ("refs/tags/v1.2.0", '1'),
            ("refs/tags/v1.10.0", '2'),
            ("refs/tags/v2.0.0-rc.1", '3'),
            ("refs/tags/web/v1", '4'),
            ("refs/tags/web/v2", '5'),
            ("refs/tags/v1", '6'),
        ]);
        let table = [
            ("", None, "main a"),
            ("", Some("v1.2.0"), "v1.2.0 1"),
            ("", Some("refs/tags/both"), "both b"),
            ("", Some("both"), "git.ref_ambiguous"),
            ("", Some("^1.2"), "v1.10.0 2"),
            ("", Some("~1.2"), "v1.2.0 1"),
            ("", Some(">=1 <2"), "v1.10.0 2"),
            ("", Some(">=1.2, <1.10"), "v1.2.0 1"),
            ("", Some("1.2.x"), "v1.2.0 1"),
            ("", Some("1.0 - 1.2"), "v1.2.0 1"),
            ("", Some("^1, !=1.10.0"), "v1.2.0 1"),
            ("", Some("^2"), "git.ref_not_found"),
            ("web", Some("v1"), "web/v1 4"),
            ("web", Some("web/v2"), "web/v2 5"),
            ("web", Some("^1"), "web/v1 4"),
            ("web", Some("*"), "web/v2 5"),
            ("db", Some("~1.2"), "v1.2.0 1"),
            ("", Some("ABCDEF1"), "commit abcdef1"),
            ("", Some("nothing"), "git.ref_not_found"),
        ];
        for (directory, reference, expected) in table {
            assert_eq!(found(&refs, directory, reference), expected, "{directory} {reference:?}");
        }
        assert_eq!(found(&BTreeMap::new(), "", None), "git.empty");
    }

    #[test]
    fn names_that_git_does_not_allow_are_refused() {
        let bad =
            ["", "--output=x", "-q", "refs/heads/../../x", "a..b", "a.lock", "@{", "a/", "a b", "a~1", "a\n", "a\\b"];
        for reference in bad {
            assert_eq!(found(&BTreeMap::new(), "", Some(reference)), "git.ref_invalid", "{reference:?}");
        }
        for reference in [":main", "+main", "+a:b", "a:b"] {
            assert_eq!(found(&BTreeMap::new(), "", Some(reference)), "git.refspec_denied", "{reference:?}");
        }
    }
}
