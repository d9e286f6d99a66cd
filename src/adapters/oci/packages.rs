//! A registry as a repository of packages: revision `vN` of the package `NAME` is the artifact `REGISTRY/NAME:vN`.
//! Other tags are nobody's revision.
//!
//! A tag is resolved to a digest when it is first seen, and from then on stands for that digest: when it leads
//! elsewhere later, its revision is refused, never read anew. What is newest and what was read is resolved again by
//! every look.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{OciError, PublicKey, Registry};
use crate::domain::error::{Class, Classify};
use crate::domain::id::{CommitId, PackageName, RepositoryName, TreeId, WorkspaceName};
use crate::domain::lease::Claim;
use crate::domain::package::archive::Budget;
use crate::domain::package::artifact::{ArtifactError, ContentDigest, ImageName, SCHEME, Wanted};
use crate::domain::revision::{Lifecycle, names, refs};
use crate::domain::source::FileTree;
use crate::domain::time::Timestamp;
use crate::ports::git::{Person, Refs};
use crate::ports::repositories::Location;
use crate::ports::revisions::{ApprovalNote, DraftContent, PackageRevision, PackageStore, RevisionError};
use crate::ports::sign_in::SignIns;

/// Most packages that are looked at, and most versions of all of them together.
const PACKAGES: usize = 1_000;
const VERSIONS: usize = 10_000;
/// Most bytes of packages that are kept.
const KEPT_BYTES: usize = 64 << 20;

/// A package and a number of it.
type Key = (PackageName, i64);

/// The packages of one registry; read only.
///
/// *Flow*: [`ArtifactStore::look`] asks the registry; lists are answered from what the last look saw, and content from
/// what was pulled by its digest.
///
/// *Guarantees*: a revision's content never changes. With keys, nothing is unpacked that is not signed by one of them.
/// What is remembered is bounded.
#[derive(Clone)]
pub struct ArtifactStore {
    inner: Arc<Inner>,
}

struct Inner {
    repository: RepositoryName,
    place: String,
    named: Vec<PackageName>,
    keys: Vec<PublicKey>,
    sign_ins: Arc<dyn SignIns>,
    door: Mutex<Option<Arc<Registry>>>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Versions that the last look saw; `None` before the first one.
    now: Option<BTreeMap<Key, ContentDigest>>,
    first_seen: BTreeMap<Key, ContentDigest>,
    /// What was read, so what somebody relies on.
    used: BTreeSet<Key>,
    vouched: BTreeSet<ContentDigest>,
    contents: BTreeMap<ContentDigest, FileTree>,
    bytes: usize,
}

impl ArtifactStore {
    /// Prepares to look; nothing is asked yet.
    ///
    /// # Errors
    /// [`RevisionError::Registry`] when a key of the location cannot be used.
    pub fn new(location: &Location, sign_ins: Arc<dyn SignIns>) -> Result<Self, RevisionError> {
        let wrong = |error: super::SignatureError| RevisionError::Registry {
            reason: format!("reading spec.verify.keys of Repository {}: {error}", location.name),
            class: Class::Invalid,
        };
        let keys = location.keys.iter().map(|key| PublicKey::parse(key)).collect::<Result<_, _>>().map_err(wrong)?;
        let inner = Inner {
            repository: location.name.clone(),
            place: location.url.strip_prefix(SCHEME).unwrap_or(&location.url).to_owned(),
            named: location.packages.clone(),
            keys,
            sign_ins,
            door: Mutex::new(None),
            memory: Mutex::new(Memory::default()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Asks the registry for its versions. Blocks.
    ///
    /// # Errors
    /// [`RevisionError::Registry`]; what was seen before is kept then.
    pub fn look(&self) -> Result<Refs, RevisionError> {
        self.inner.look()
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, RevisionError> + Send + 'static,
    ) -> Result<T, RevisionError> {
        let inner = self.inner.clone();
        let place = inner.place.clone();
        tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|error| {
            Err(RevisionError::Registry { reason: format!("{place}: the task ended: {error}"), class: Class::Bug })
        })
    }

    fn read_only<T>(&self, act: &'static str) -> Result<T, RevisionError> {
        Err(RevisionError::ReadOnly { act, repository: self.inner.repository.clone() })
    }
}

/// An error of a registry, for those who know nothing of registries.
fn told(error: &OciError) -> RevisionError {
    let class = match error {
        OciError::Unreachable { .. } | OciError::Answer { .. } => Class::Transient,
        OciError::SignIn(error) => error.class(),
        OciError::NotFound { .. } => Class::NotFound,
        OciError::Auth { .. } => Class::Denied,
        _ => Class::Invalid,
    };
    RevisionError::Registry { reason: error.to_string(), class }
}

impl Inner {
    /// Locked for single look-ups, never while the registry is asked.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn image(&self, package: &PackageName) -> Result<ImageName, RevisionError> {
        let name = format!("{}/{package}", self.place);
        ImageName::parse(&name)
            .map_err(|error| RevisionError::Registry { reason: format!("{name}: {error}"), class: Class::Invalid })
    }

    /// The artifact of a revision, for people.
    fn name(&self, (package, number): &Key) -> String {
        format!("{}/{package}:v{number}", self.place)
    }

    /// A package's repository; all share one client.
    fn registry(&self, package: &PackageName) -> Result<Registry, RevisionError> {
        let image = self.image(package)?;
        let mut door = self.door.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(door) = door.as_ref() {
            return Ok(door.beside(&image));
        }
        let first = Registry::open(&image, &self.sign_ins).map_err(|error| told(&error))?;
        let registry = first.beside(&image);
        *door = Some(Arc::new(first));
        Ok(registry)
    }

    /// The packages that are named, or all repositories below the place.
    fn packages(&self) -> Result<Vec<PackageName>, RevisionError> {
        let found = if self.named.is_empty() { self.listed()? } else { self.named.clone() };
        self.within(found.len(), PACKAGES, "packages")?;
        Ok(found)
    }

    fn listed(&self) -> Result<Vec<PackageName>, RevisionError> {
        let any = PackageName::new("any")
            .map_err(|error| RevisionError::Registry { reason: error.to_string(), class: Class::Bug })?;
        let repositories = self.registry(&any)?.catalogue().map_err(|error| match error {
            other @ (OciError::Unreachable { .. } | OciError::SignIn(_)) => told(&other),
            other => {
                let place = &self.place;
                let reason = format!(
                    "{place}: the registry does not list its repositories; name the packages in spec.oci.packages ({other}) \
                     [oci.catalogue]"
                );
                RevisionError::Registry { reason, class: told(&other).class() }
            }
        })?;
        let below = self.place.split_once('/').map(|(_, path)| format!("{path}/")).unwrap_or_default();
        let names = repositories.iter().filter_map(|name| name.strip_prefix(&below));
        Ok(names.filter_map(|name| PackageName::new(name).ok()).collect())
    }

    fn within(&self, count: usize, limit: usize, what: &str) -> Result<(), RevisionError> {
        if count <= limit {
            return Ok(());
        }
        let reason = format!(
            "{}: there are more than {limit} {what}; name those that are wanted in spec.oci.packages [oci.limit]",
            self.place
        );
        Err(RevisionError::Registry { reason, class: Class::Invalid })
    }

    fn look(&self) -> Result<Refs, RevisionError> {
        let mut now = BTreeMap::new();
        for package in self.packages()? {
            self.look_at(&package, &mut now)?;
            self.within(now.len(), VERSIONS, "versions")?;
        }
        let mut memory = self.memory();
        for (key, digest) in &now {
            // Versions that are gone are remembered too, or one that comes back could be another.
            if memory.first_seen.len() < 2 * VERSIONS {
                memory.first_seen.entry(key.clone()).or_insert_with(|| digest.clone());
            }
        }
        memory.now = Some(now.clone());
        drop(memory);
        let named = now.iter().map(|((package, number), digest)| {
            Some((refs::tag("", package, *number), CommitId::new(digest.hex()).ok()?))
        });
        Ok(named.flatten().collect())
    }

    /// The versions of one package; those that are known and that nobody relies on are not asked for again.
    fn look_at(&self, package: &PackageName, now: &mut BTreeMap<Key, ContentDigest>) -> Result<(), RevisionError> {
        let registry = self.registry(package)?;
        let tags = match registry.tags() {
            // A repository whose last version was deleted stays in the catalogue; one that is named may come later.
            Err(OciError::NotFound { .. }) => return Ok(()),
            other => other.map_err(|error| told(&error))?,
        };
        let numbers: BTreeSet<i64> = tags.iter().filter_map(|tag| refs::number(tag)).collect();
        self.within(numbers.len(), VERSIONS, "versions")?;
        let newest = numbers.last().copied();
        for number in numbers {
            let key = (package.clone(), number);
            let known = {
                let memory = self.memory();
                let settled = Some(number) != newest && !memory.used.contains(&key);
                memory.first_seen.get(&key).filter(|_| settled).cloned()
            };
            let digest = match known {
                Some(known) => known,
                None => match registry.resolve(&format!("v{number}")) {
                    // It went in between.
                    Err(OciError::NotFound { .. }) => continue,
                    other => other.map_err(|error| told(&error))?,
                },
            };
            now.insert(key, digest);
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<PackageRevision>, RevisionError> {
        if self.memory().now.is_none() {
            self.look()?;
        }
        let memory = self.memory();
        let now = memory.now.iter().flatten();
        let numbers = now.clone().map(|((package, number), _)| (package, *number));
        let latest = crate::domain::revision::number::latest(numbers);
        let described = now.filter_map(|(key, digest)| {
            let digest = memory.first_seen.get(key).unwrap_or(digest);
            self.describe(key, digest, latest.get(&key.0) == Some(&key.1))
        });
        Ok(described.collect())
    }

    /// A version as a revision; one whose name is too long is none.
    fn describe(&self, (package, number): &Key, digest: &ContentDigest, latest: bool) -> Option<PackageRevision> {
        let workspace = WorkspaceName::new(format!("v{number}")).ok()?;
        Some(PackageRevision {
            name: names::revision_name(&self.repository, package, &workspace).ok()?,
            repository: self.repository.clone(),
            package: package.clone(),
            workspace,
            revision: *number,
            lifecycle: Lifecycle::Published,
            latest,
            commit: CommitId::new(digest.hex()).ok()?,
            tree: TreeId::new(digest.hex()).ok()?,
        })
    }

    /// The digest of a revision, when its tag still leads there.
    fn unmoved(&self, key: &Key, revision: &PackageRevision) -> Result<ContentDigest, RevisionError> {
        let was =
            ContentDigest::parse(&format!("sha256:{}", revision.commit)).map_err(|error| self.wrong(key, &error))?;
        let memory = self.memory();
        let moved = |digest: &&ContentDigest| **digest != was;
        let now = memory.now.as_ref().and_then(|now| now.get(key)).filter(moved);
        match now.or_else(|| memory.first_seen.get(key).filter(moved)) {
            None => Ok(was),
            Some(now) => {
                Err(RevisionError::ArtifactMoved { image: self.name(key), was: was.to_string(), now: now.to_string() })
            }
        }
    }

    fn wrong(&self, key: &Key, error: &ArtifactError) -> RevisionError {
        RevisionError::Registry { reason: format!("{}: {error}", self.name(key)), class: Class::Invalid }
    }

    fn vouch(&self, revision: &PackageRevision) -> Result<ContentDigest, RevisionError> {
        let key = (revision.package.clone(), revision.revision);
        let digest = self.unmoved(&key, revision)?;
        if self.keys.is_empty() || self.memory().vouched.contains(&digest) {
            return Ok(digest);
        }
        self.registry(&key.0)?.verify(&digest, &self.keys).map_err(|error| self.untrusted(&key, &error))?;
        let mut memory = self.memory();
        if memory.vouched.len() >= VERSIONS {
            memory.vouched.clear();
        }
        memory.vouched.insert(digest.clone());
        Ok(digest)
    }

    fn untrusted(&self, key: &Key, error: &OciError) -> RevisionError {
        match error {
            OciError::Signature { source, .. } => {
                RevisionError::Unsigned { image: self.name(key), reason: source.to_string() }
            }
            other => told(other),
        }
    }

    fn content(&self, revision: &PackageRevision) -> Result<FileTree, RevisionError> {
        let key = (revision.package.clone(), revision.revision);
        let digest = self.vouch(revision)?;
        {
            let mut memory = self.memory();
            // Also when the same content came under another tag: from now on, this one is looked at too.
            memory.used.insert(key.clone());
            if let Some(known) = memory.contents.get(&digest) {
                return Ok(known.clone());
            }
        }
        let registry = self.registry(&key.0)?;
        // It was vouched for above, by this very digest.
        let pulled = registry.pull(&Wanted::Digest(digest.clone()), &Budget::default(), &[]);
        let tree = pulled.map_err(|error| told(&error))?.tree;
        self.memory().keep(digest, &tree);
        Ok(tree)
    }
}

impl Memory {
    fn keep(&mut self, digest: ContentDigest, tree: &FileTree) {
        let bytes: usize = tree.iter().map(|(path, file)| path.len() + file.bytes.len()).sum();
        if self.bytes + bytes > KEPT_BYTES {
            self.contents.clear();
            self.bytes = 0;
        }
        if bytes <= KEPT_BYTES && self.contents.insert(digest, tree.clone()).is_none() {
            self.bytes += bytes;
        }
    }
}

#[async_trait]
impl PackageStore for ArtifactStore {
    async fn list(&self) -> Result<Vec<PackageRevision>, RevisionError> {
        self.run(Inner::list).await
    }

    async fn vouch(&self, revision: &PackageRevision) -> Result<(), RevisionError> {
        let revision = revision.clone();
        self.run(move |inner| inner.vouch(&revision).map(drop)).await
    }

    async fn content(&self, revision: &PackageRevision) -> Result<FileTree, RevisionError> {
        let revision = revision.clone();
        self.run(move |inner| inner.content(&revision)).await
    }

    async fn trailers(&self, _: &PackageRevision) -> Result<BTreeMap<String, String>, RevisionError> {
        Ok(BTreeMap::new())
    }

    async fn published(&self, _: &PackageRevision) -> Result<Option<(Person, Timestamp)>, RevisionError> {
        Ok(None)
    }

    async fn create(
        &self,
        _: Option<&Claim>,
        _: &PackageName,
        _: &WorkspaceName,
        _: DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        self.read_only("create a draft")
    }

    async fn update(
        &self,
        _: Option<&Claim>,
        _: &PackageRevision,
        _: DraftContent,
    ) -> Result<PackageRevision, RevisionError> {
        self.read_only("update a draft")
    }

    async fn propose(&self, _: Option<&Claim>, _: &PackageRevision) -> Result<PackageRevision, RevisionError> {
        self.read_only("propose a revision")
    }

    async fn reject(&self, _: Option<&Claim>, _: &PackageRevision) -> Result<PackageRevision, RevisionError> {
        self.read_only("reject a revision")
    }

    async fn approve(
        &self,
        _: Option<&Claim>,
        _: &PackageRevision,
        _: &ApprovalNote,
    ) -> Result<PackageRevision, RevisionError> {
        self.read_only("approve a revision")
    }

    async fn merged_by(&self, _: &PackageRevision) -> Result<Option<(Person, CommitId)>, RevisionError> {
        Ok(None)
    }

    async fn propose_deletion(&self, _: Option<&Claim>, _: &PackageRevision) -> Result<PackageRevision, RevisionError> {
        self.read_only("propose to delete a revision")
    }

    async fn restore(&self, _: Option<&Claim>, _: &PackageRevision) -> Result<PackageRevision, RevisionError> {
        self.read_only("restore a revision")
    }

    async fn delete(&self, _: Option<&Claim>, _: &PackageRevision, _: bool) -> Result<(), RevisionError> {
        self.read_only("delete a revision")
    }
}
