//! Packages in OCI registries: names, versions, and what a manifest holds.
//!
//! Sources: OCI image and distribution specifications 1.1; Docker's image manifest v2 schema 2; Flux's artifacts
//! (`application/vnd.cncf.flux.content.v1.tar+gzip`), Helm's charts
//! (`application/vnd.cncf.helm.chart.content.v1.tar+gzip`), kpt's and Porch's packages (images whose layers are the
//! files).

mod name;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::archive::{ArchiveError, Budget, unpack};
use super::reference::newest_tag;
use super::versions::Versions;
use crate::domain::id::Digest;
use crate::domain::source::{File, FileTree};

pub use name::{ImageName, without_user};

/// How a repository in a registry is told from one of git: `oci://HOST/REPOSITORY`.
pub const SCHEME: &str = "oci://";

/// Largest manifest in bytes; registries take no larger ones.
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// Most layers of a manifest.
const LAYERS: usize = 128;
/// Most manifests of an index, and of a list of what refers to another one.
const MANIFESTS: usize = 1_000;

/// Why a name means nothing, a version is not there, or a manifest holds no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// Not a name of a repository, a tag or a digest.
    #[error("reading {text:?}: {why} [oci.reference]")]
    Reference {
        /// What was given.
        text: String,
        /// The rule.
        why: String,
    },
    /// A user, perhaps with a password, in front of the host.
    #[error(
        "reading {text:?}: user and password do not belong into the name of a registry's repository, and were left out \
         here; sign in with `docker login` or another tool that writes Docker's config.json, or for a Repository name a \
         Secret in spec.oci.secretRef [oci.credentials]"
    )]
    Credentials {
        /// What was given, without them.
        text: String,
    },
    /// A digest by an algorithm that is not used here.
    #[error("reading the digest {text:?}: only sha256 digests are supported [oci.digest_algorithm]")]
    Algorithm {
        /// What was given.
        text: String,
    },
    /// No tag is in the range.
    #[error("no tag is in the range {range}{known} [oci.not_found]")]
    NoVersion {
        /// What was given.
        range: String,
        /// What there is instead.
        known: String,
    },
    /// A kind of content that is no package.
    #[error("reading the manifest: {what} [oci.media_type]")]
    MediaType {
        /// What was found, and what is read.
        what: String,
    },
    /// A manifest that no package needs.
    #[error("reading the manifest: {what} exceeds the limit of {limit} [oci.manifest_limit]")]
    Limit {
        /// What is too large.
        what: String,
        /// How large it may be.
        limit: u64,
    },
    /// A field is missing or wrong.
    #[error("reading the manifest: {why} [oci.manifest_invalid]")]
    Manifest {
        /// What is wrong.
        why: String,
    },
    /// A layer was not unpacked.
    #[error("layer {layer}: {source}")]
    Layer {
        /// Which one.
        layer: ContentDigest,
        /// Why.
        source: ArchiveError,
    },
}

fn refuse<T>(text: &str, why: impl Into<String>) -> Result<T, ArtifactError> {
    Err(ArtifactError::Reference { text: text.chars().take(300).collect(), why: why.into() })
}

/// Digest of content in a registry: `sha256:` and 64 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentDigest(Digest);

impl ContentDigest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes))
    }

    /// Reads `sha256:HEX`.
    ///
    /// # Errors
    /// [`ArtifactError::Algorithm`] for others than sha256, [`ArtifactError::Reference`] for what is no digest.
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        match text.split_once(':') {
            Some(("sha256", hex)) => match Digest::new(hex) {
                Ok(digest) => Ok(Self(digest)),
                Err(_) => refuse(text, "a sha256 digest has 64 lowercase hex digits; give all of them"),
            },
            Some(_) => Err(ArtifactError::Algorithm { text: text.chars().take(300).collect() }),
            None => refuse(text, "it is no digest"),
        }
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(is_word)
        && text.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

/// Which version of a repository is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// What a tag leads to at the moment.
    Tag(String),
    /// This content.
    Digest(ContentDigest),
    /// The newest tag in a range.
    Range {
        /// As it was given.
        text: String,
        /// What it means.
        range: Versions,
    },
}

impl Wanted {
    /// Reads `TAG`, `sha256:HEX`, `TAG@sha256:HEX` (the tag is a remark then) or a range such as `^1.2`; `1.x` is a
    /// range too, not a tag.
    ///
    /// # Errors
    /// [`ArtifactError::Reference`], [`ArtifactError::Algorithm`].
    pub fn parse(text: &str) -> Result<Self, ArtifactError> {
        let last = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
        if last.contains(':') {
            return ContentDigest::parse(last).map(Self::Digest);
        }
        match Versions::parse_marked(text) {
            Some(range) => Ok(Self::Range { text: text.to_owned(), range }),
            None if is_tag(text) => Ok(Self::Tag(text.to_owned())),
            None => refuse(text, "it is no tag, no sha256 digest and no range of versions such as ^1.2"),
        }
    }
}

/// The newest tag in a range. A `_` of a tag stands for the `+` of a version, as Helm writes it.
///
/// # Errors
/// [`ArtifactError::NoVersion`].
pub fn newest(tags: &[String], text: &str, range: &Versions) -> Result<String, ArtifactError> {
    let found = newest_tag(tags.iter().map(|tag| (tag.as_str(), tag.replace('_', "+"))), range);
    found.map(str::to_owned).ok_or_else(|| {
        let some: Vec<&str> = tags.iter().rev().take(10).map(String::as_str).collect();
        let known =
            if some.is_empty() { "; there is no tag".to_owned() } else { format!("; there are {}", some.join(", ")) };
        ArtifactError::NoVersion { range: text.to_owned(), known }
    })
}

/// Content by its digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: ContentDigest,
    /// Its size in bytes.
    pub size: u64,
    /// What else is said about it.
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// A list of manifests, of which this one is meant.
    Index(Descriptor),
    /// One artifact.
    Artifact(Artifact),
}

/// Layers, and how they become files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// Whose artifact it is.
    pub kind: Kind,
    /// What holds the files, from the bottom up.
    pub layers: Vec<Descriptor>,
}

/// Whose artifact it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An image whose layers lie one over the other: kpt, Porch, and what ordinary tools push.
    Image,
    /// Files in one layer.
    Flux,
    /// A chart in one layer, in a directory of its name.
    Helm,
}

const INDEXES: [&str; 2] =
    ["application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"];
const MANIFEST_TYPES: [&str; 2] =
    ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"];
const FLUX: &str = "application/vnd.cncf.flux.content.v1.tar+gzip";
const HELM: &str = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
const TARS: [&str; 3] = [
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];

/// What to ask a registry for.
#[must_use]
pub fn accepted() -> String {
    MANIFEST_TYPES.iter().chain(&INDEXES).copied().collect::<Vec<_>>().join(", ")
}

/// A system and a machine, as an index tells them.
pub type Platform = (&'static str, &'static str);

/// Whose manifest of an index is meant for a package, whatever machine asks, so that everybody gets the same files.
pub const OF_PACKAGES: &[Platform] = &[("linux", "amd64")];
/// For a WASM module: as kpt pushes them, else as others do.
pub const OF_MODULES: &[Platform] = &[("js", "wasm"), ("wasip1", "wasm"), ("wasi", "wasm")];

/// Reads a manifest; of an index, the only one is meant, or that for the first of these platforms.
///
/// # Errors
/// [`ArtifactError`].
pub fn manifest(bytes: &[u8], platforms: &[Platform]) -> Result<Manifest, ArtifactError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(format!("it is no JSON: {error}")))?;
    if value.get("schemaVersion") != Some(&Value::from(2)) {
        let what = "it is of schema 1, or of none; push it again with a tool that writes schema 2".to_owned();
        return Err(ArtifactError::MediaType { what });
    }
    let declared = value.get("mediaType").and_then(Value::as_str);
    match (value.get("manifests"), value.get("layers")) {
        (Some(_), Some(_)) => Err(invalid("it has both manifests and layers, so it could be read in two ways")),
        (Some(_), None) => {
            known(declared, &INDEXES)?;
            Ok(Manifest::Index(chosen(&value, platforms)?))
        }
        _ => {
            known(declared, &MANIFEST_TYPES)?;
            Ok(Manifest::Artifact(artifact(&value)?))
        }
    }
}

/// The layers of a manifest, whatever they hold.
///
/// # Errors
/// [`ArtifactError`].
pub fn layers(bytes: &[u8]) -> Result<Vec<Descriptor>, ArtifactError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(format!("it is no JSON: {error}")))?;
    descriptors(&value, "layers", LAYERS)
}

/// The manifests in a list of referrers whose type begins so. What says no type is not among them.
///
/// # Errors
/// [`ArtifactError`].
pub fn referring(bytes: &[u8], kind: &str) -> Result<Vec<ContentDigest>, ArtifactError> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| invalid(format!("it is no JSON: {error}")))?;
    let listed = descriptors(&value, "manifests", MANIFESTS)?;
    let types = value.get("manifests").and_then(Value::as_array).into_iter().flatten();
    let types = types.map(|item| item.get("artifactType").and_then(Value::as_str).unwrap_or_default());
    let wanted = types.zip(listed).filter(|(found, _)| found.starts_with(kind));
    Ok(wanted.map(|(_, referrer)| referrer.digest).collect())
}

fn invalid(why: impl Into<String>) -> ArtifactError {
    ArtifactError::Manifest { why: why.into() }
}

fn known(declared: Option<&str>, allowed: &[&str]) -> Result<(), ArtifactError> {
    match declared {
        Some(other) if !allowed.contains(&other) => Err(ArtifactError::MediaType {
            what: format!("it says that it is {other:?}, not {}", allowed.join(" or ")),
        }),
        _ => Ok(()),
    }
}

fn descriptors(value: &Value, field: &str, limit: usize) -> Result<Vec<Descriptor>, ArtifactError> {
    let items =
        value.get(field).and_then(Value::as_array).ok_or_else(|| invalid(format!("it has no list {field:?}")))?;
    if items.len() > limit {
        let what = format!("the number of its {field}, {},", items.len());
        return Err(ArtifactError::Limit { what, limit: limit as u64 });
    }
    items.iter().map(descriptor).collect()
}

fn descriptor(value: &Value) -> Result<Descriptor, ArtifactError> {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default();
    let size = value.get("size").and_then(Value::as_u64);
    let annotations = value.get("annotations").and_then(Value::as_object).into_iter().flatten();
    Ok(Descriptor {
        media_type: text("mediaType").to_owned(),
        digest: ContentDigest::parse(text("digest"))?,
        size: size.ok_or_else(|| invalid("a descriptor has no size"))?,
        annotations: annotations.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect(),
    })
}

/// The manifest of an index that is meant. What only testifies about another one does not count.
fn chosen(value: &Value, platforms: &[Platform]) -> Result<Descriptor, ArtifactError> {
    let all = descriptors(value, "manifests", MANIFESTS)?;
    let platform = |index: usize, field: &str| {
        let pointer = format!("/manifests/{index}/platform/{field}");
        value.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let testifies = |found: &Descriptor| found.annotations.contains_key("vnd.docker.reference.type");
    let real: Vec<(usize, &Descriptor)> = all.iter().enumerate().filter(|(_, found)| !testifies(found)).collect();
    let is_for = |index: usize, (os, machine): Platform| {
        platform(index, "os") == os && platform(index, "architecture") == machine
    };
    let found = match real.as_slice() {
        [(_, only)] => Some(*only),
        several => platforms
            .iter()
            .find_map(|wanted| several.iter().find(|(index, _)| is_for(*index, *wanted)).map(|(_, found)| *found)),
    };
    found.cloned().ok_or_else(|| {
        let wanted: Vec<String> = platforms.iter().map(|(os, machine)| format!("{os}/{machine}")).collect();
        let wanted = wanted.join(" or ");
        let what = format!("its index has {} manifests and none for {wanted}; give the digest of one", real.len());
        ArtifactError::MediaType { what }
    })
}

fn artifact(value: &Value) -> Result<Artifact, ArtifactError> {
    let layers = descriptors(value, "layers", LAYERS)?;
    for (kind, media_type) in [(Kind::Flux, FLUX), (Kind::Helm, HELM)] {
        let own: Vec<Descriptor> = layers.iter().filter(|layer| layer.media_type == media_type).cloned().collect();
        match own.len() {
            0 => {}
            1 => return Ok(Artifact { kind, layers: own }),
            count => return Err(ArtifactError::MediaType { what: format!("it has {count} layers of {media_type}") }),
        }
    }
    match layers.iter().find(|layer| !TARS.contains(&layer.media_type.as_str())) {
        Some(other) => {
            let what =
                format!("it has a layer of {:?}; packages are {}, {FLUX} or {HELM}", other.media_type, TARS.join(", "));
            Err(ArtifactError::MediaType { what })
        }
        None if layers.is_empty() => Err(ArtifactError::MediaType { what: "it has no layer".to_owned() }),
        None => Ok(Artifact { kind: Kind::Image, layers }),
    }
}

/// What makes a file of a lower layer vanish, in front of its name; alone it empties the directory.
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

impl Artifact {
    /// The files, from the bytes of the layers in their order.
    ///
    /// # Errors
    /// [`ArtifactError::Layer`]; [`ArtifactError::MediaType`] for a chart that is not in one directory.
    pub fn files(&self, layers: &[Vec<u8>], budget: &Budget) -> Result<FileTree, ArtifactError> {
        let mut tree = FileTree::new();
        for (layer, bytes) in self.layers.iter().zip(layers) {
            let upper =
                unpack(bytes, budget).map_err(|source| ArtifactError::Layer { layer: layer.digest.clone(), source })?;
            tree = if self.kind == Kind::Image { over(&tree, &upper) } else { upper };
        }
        if self.kind == Kind::Helm { chart(&tree) } else { Ok(tree) }
    }
}

/// A layer over what is below it.
fn over(lower: &FileTree, upper: &FileTree) -> FileTree {
    let (marks, files): (Vec<_>, Vec<_>) = upper.iter().partition(|(path, _)| leaf(path).1.starts_with(WHITEOUT));
    let hidden: BTreeSet<String> = marks.iter().map(|(mark, _)| hides(mark)).collect();
    let directories: BTreeSet<&str> = files.iter().flat_map(|(path, _)| above(path)).collect();
    let is_hidden =
        |path: &str| hidden.contains("") || std::iter::once(path).chain(above(path)).any(|at| hidden.contains(at));
    let is_replaced = |path: &str| directories.contains(path) || above(path).any(|at| upper.get(at).is_some());
    let kept = lower.iter().filter(|(path, _)| !is_hidden(path) && !is_replaced(path));
    collected(kept.chain(files))
}

fn leaf(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The directories that a path is in.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// What of the lower layers vanishes, with all below it; everything when it is empty.
fn hides(mark: &str) -> String {
    let (directory, name) = leaf(mark);
    let target = name.strip_prefix(WHITEOUT).unwrap_or(name);
    match (directory, name) {
        (_, OPAQUE) => directory.to_owned(),
        ("", _) => target.to_owned(),
        _ => format!("{directory}/{target}"),
    }
}

fn collected<'a>(files: impl Iterator<Item = (&'a str, &'a File)>) -> FileTree {
    let mut tree = FileTree::new();
    for (path, file) in files {
        // The paths were in trees.
        let _ = tree.insert(path, file.clone());
    }
    tree
}

/// What is in the one directory of a chart's archive.
fn chart(tree: &FileTree) -> Result<FileTree, ArtifactError> {
    let first =
        tree.iter().next().and_then(|(path, _)| path.split_once('/')).map(|(directory, _)| directory.to_owned());
    let directory = first.unwrap_or_default();
    let below = tree.below(&directory);
    if directory.is_empty() || below.len() != tree.len() {
        return Err(ArtifactError::MediaType { what: "its chart is not in one directory".to_owned() });
    }
    Ok(below)
}

#[cfg(test)]
mod tests;
