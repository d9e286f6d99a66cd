//! OCI registries: an own client of the distribution API, for pulling packages.
//!
//! Sources: OCI distribution specification 1.1 (pull, list of tags), Docker's token authentication, RFC 9110, RFC 8288
//! (pages). Nothing is pushed; no program is run but those that keep a user's credentials.

mod auth;
mod authorities;
mod bundle;
mod cosign;
mod helper;
mod http;
mod keychain;
mod modules;
mod packages;

use std::sync::Arc;

use serde::Deserialize;

use self::http::{Accept, Exchange};
use crate::domain::credentials::Door;
use crate::domain::package::archive::Budget;
use crate::domain::package::artifact::{
    Artifact, ArtifactError, ContentDigest, Descriptor, ImageName, MANIFEST_BYTES, Manifest, OF_PACKAGES, Platform,
    Wanted, accepted, manifest, newest,
};
use crate::domain::source::FileTree;
use crate::ports::sign_in::{SignInError, SignIns};

pub use cosign::{PublicKey, SignatureError};
pub use keychain::Keychain;
pub use modules::ModuleStore;
pub use packages::ArtifactStore;

/// Indexes that may lead to one another.
const DEPTH: usize = 3;
/// Most bytes of all layers together, as they are sent.
const LAYERS_BYTES: u64 = 64 << 20;
/// Most pages of tags, and bytes of one of them.
const PAGES: usize = 100;
const PAGE_BYTES: u64 = 4 << 20;

/// Why a registry gave no package.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// Its name, its version or its manifest.
    #[error("{image}: {source}")]
    Artifact {
        /// Which repository.
        image: String,
        /// Why.
        source: ArtifactError,
    },
    /// No answer came.
    #[error("{image}: {act}: the registry cannot be reached: {reason} [oci.unreachable]")]
    Unreachable {
        /// Which repository.
        image: String,
        /// What was asked.
        act: String,
        /// Why.
        reason: String,
    },
    /// An answer that is none.
    #[error("{image}: {act}: the registry answered {status}{said} [oci.answer]")]
    Answer {
        /// Which repository.
        image: String,
        /// What was asked.
        act: String,
        /// The status.
        status: u16,
        /// What it said, after a colon.
        said: String,
    },
    /// There is no such repository, tag or content.
    #[error("{image}: {act}: there is none{said} [oci.not_found]")]
    NotFound {
        /// Which repository.
        image: String,
        /// What was asked.
        act: String,
        /// What the registry said, after a colon.
        said: String,
    },
    /// The registry does not let us.
    #[error(
        "{image}: {act}: {reason}; sign in with `docker login` or another tool that writes Docker's config.json, or for a \
         Repository name a Secret in spec.oci.secretRef [oci.auth]"
    )]
    Auth {
        /// Which repository.
        image: String,
        /// What was asked.
        act: String,
        /// Why.
        reason: String,
    },
    /// Tokens are to be had where no credentials are sent.
    #[error("{image}: the registry wants a token from {realm}, which {why}; nothing was sent there [oci.realm_denied]")]
    Realm {
        /// Which repository.
        image: String,
        /// Where.
        realm: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// A redirect that is not followed.
    #[error("{image}: {from} redirects to {to}, {why} [net.redirect_denied]")]
    Redirect {
        /// Which repository.
        image: String,
        /// Host that redirects.
        from: String,
        /// Host that it names.
        to: String,
        /// Why that is refused.
        why: &'static str,
    },
    /// Content that is not what its digest says.
    #[error("{image}: {what} has the digest {actual}, not {expected} [oci.digest_mismatch]")]
    Digest {
        /// Which repository.
        image: String,
        /// Which content.
        what: String,
        /// Its digest.
        actual: String,
        /// What it should be.
        expected: String,
    },
    /// Content of another size.
    #[error("{image}: {what} has {actual} bytes, not {expected} as its manifest says [oci.size_mismatch]")]
    Size {
        /// Which repository.
        image: String,
        /// Which content.
        what: String,
        /// Its size, or one more than expected.
        actual: u64,
        /// What it should be.
        expected: u64,
    },
    /// More than is read.
    #[error("{image}: {what} exceeds the limit of {limit} bytes [oci.manifest_limit]")]
    Limit {
        /// Which repository.
        image: String,
        /// What is too large.
        what: String,
        /// How large it may be.
        limit: u64,
    },
    /// The credentials cannot be read.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// It is not signed as it has to be.
    #[error("{image}: {source}")]
    Signature {
        /// Which repository.
        image: String,
        /// Why.
        source: SignatureError,
    },
}

/// A manifest as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    digest: ContentDigest,
    bytes: Vec<u8>,
}

/// A package as it was pulled.
#[derive(Debug, Clone, PartialEq)]
pub struct Pulled {
    /// Its files.
    pub tree: FileTree,
    /// The tag that was meant, or the digest itself.
    pub resolved: String,
    /// The digest of the manifest or of the index that this led to: pulling it gives the same files for ever.
    pub digest: ContentDigest,
}

/// One repository in a registry.
///
/// *Flow*: `pull` resolves the version once, and from then on asks by digest only.
///
/// *Guarantees*: every byte is hashed before it is used; answers, layers and pages are limited; credentials go to the
/// registry and to its own realm only, never to where it redirects; they appear in no error. Hosts on this machine are
/// asked by http unless there are certificates for them, all others by https. What can be asked again is asked three
/// times at most.
///
/// *Assumptions*: called outside async code (`spawn_blocking`).
pub struct Registry {
    image: ImageName,
    exchange: Exchange,
}

/// A page of names: of tags, or of repositories.
#[derive(Deserialize)]
struct Page {
    #[serde(default, alias = "repositories")]
    tags: Option<Vec<String>>,
}

impl Registry {
    /// Prepares to ask; nothing is sent yet.
    ///
    /// # Errors
    /// [`OciError::SignIn`] when the credentials cannot be read, [`OciError::Unreachable`] when no client can be made.
    pub fn open(image: &ImageName, sign_ins: &Arc<dyn SignIns>) -> Result<Self, OciError> {
        // What is wrong with the credentials is told at once, not when the registry wants to see them.
        sign_ins.sign_in(Door::Registry(&image.registry))?;
        Ok(Self { image: image.clone(), exchange: Exchange::new(image, sign_ins.clone())? })
    }

    fn wrong(&self) -> impl Fn(ArtifactError) -> OciError {
        let image = self.image.to_string();
        move |source| OciError::Artifact { image: image.clone(), source }
    }

    /// Another repository of the same registry, over the same connections.
    fn beside(&self, image: &ImageName) -> Self {
        Self { image: image.clone(), exchange: self.exchange.beside(image) }
    }

    /// All tags, in the registry's order.
    ///
    /// # Errors
    /// [`OciError`].
    pub fn tags(&self) -> Result<Vec<String>, OciError> {
        self.names(&self.exchange, format!("/v2/{}/tags/list?n=1000", self.image.repository), "listing the tags")
    }

    /// All repositories of the registry that it lets us see. The specification leaves it to registries whether they
    /// have such a list; the public ones have none.
    fn catalogue(&self) -> Result<Vec<String>, OciError> {
        self.names(&self.exchange.of_catalogue(), "/v2/_catalog?n=1000".to_owned(), "listing the repositories")
    }

    /// The names on all pages of a list.
    fn names(&self, exchange: &Exchange, first: String, act: &str) -> Result<Vec<String>, OciError> {
        let mut names = Vec::new();
        let mut next = Some(first);
        for _ in 0..PAGES {
            let Some(path) = next else { return Ok(names) };
            let answer = exchange.get(&path, act, &Accept::Json, PAGE_BYTES)?;
            let page: Page = serde_json::from_slice(&answer.body).map_err(|error| OciError::Answer {
                image: self.image.to_string(),
                act: act.to_owned(),
                status: 200,
                said: format!(" with what is no list: {error}"),
            })?;
            names.extend(page.tags.unwrap_or_default());
            next = answer.next;
        }
        let what = format!("{act}, {PAGES} pages,");
        Err(OciError::Limit { image: self.image.to_string(), what, limit: PAGE_BYTES })
    }

    /// The digest that a tag leads to at the moment.
    fn resolve(&self, tag: &str) -> Result<ContentDigest, OciError> {
        Ok(self.manifest(tag)?.digest)
    }

    /// A manifest by tag or digest.
    fn manifest(&self, reference: &str) -> Result<Stored, OciError> {
        let path = format!("/v2/{}/manifests/{reference}", self.image.repository);
        let act = format!("reading the manifest of {reference}");
        let answer = self.exchange.get(&path, &act, &Accept::Manifest(accepted()), MANIFEST_BYTES)?;
        let digest = ContentDigest::of(&answer.body);
        let asked = Some(reference).filter(|reference| reference.contains(':'));
        for expected in [asked, answer.digest.as_deref()].into_iter().flatten() {
            // A registry may tell the digest by another algorithm; then it tells nothing here.
            if expected.starts_with("sha256:") && expected != digest.to_string() {
                return Err(OciError::Digest {
                    image: self.image.to_string(),
                    what: format!("the manifest of {reference}"),
                    actual: digest.to_string(),
                    expected: expected.to_owned(),
                });
            }
        }
        Ok(Stored { digest, bytes: answer.body })
    }

    /// Content that a manifest names.
    fn blob(&self, wanted: &Descriptor) -> Result<Vec<u8>, OciError> {
        let path = format!("/v2/{}/blobs/{}", self.image.repository, wanted.digest);
        let act = format!("reading {}", wanted.digest);
        let body = match self.exchange.get(&path, &act, &Accept::Any, wanted.size) {
            Err(OciError::Limit { image, what, .. }) => {
                return Err(OciError::Size { image, what, actual: wanted.size + 1, expected: wanted.size });
            }
            other => other?.body,
        };
        let (image, what) = (self.image.to_string(), wanted.digest.to_string());
        if body.len() as u64 != wanted.size {
            return Err(OciError::Size { image, what, actual: body.len() as u64, expected: wanted.size });
        }
        let actual = ContentDigest::of(&body);
        if actual != wanted.digest {
            return Err(OciError::Digest {
                image,
                what,
                actual: actual.to_string(),
                expected: wanted.digest.to_string(),
            });
        }
        Ok(body)
    }

    /// Pulls a package. With `keys`, only when it is signed with one of them.
    ///
    /// # Errors
    /// [`OciError`].
    pub fn pull(&self, wanted: &Wanted, budget: &Budget, keys: &[PublicKey]) -> Result<Pulled, OciError> {
        let resolved = self.reference(wanted)?;
        let found = self.manifest(&resolved)?;
        self.verify(&found.digest, keys)?;
        let digest = found.digest.clone();
        let tree = self.files(found, OF_PACKAGES, budget)?;
        Ok(Pulled { tree, resolved, digest })
    }

    /// The tag or the digest that is meant.
    fn reference(&self, wanted: &Wanted) -> Result<String, OciError> {
        match wanted {
            Wanted::Tag(tag) => Ok(tag.clone()),
            Wanted::Digest(digest) => Ok(digest.to_string()),
            Wanted::Range { text, range } => newest(&self.tags()?, text, range).map_err(self.wrong()),
        }
    }

    /// The files that a manifest leads to.
    fn files(&self, found: Stored, platforms: &[Platform], budget: &Budget) -> Result<FileTree, OciError> {
        let artifact = self.artifact(found, platforms)?;
        let layers = self.layers(&artifact)?;
        artifact.files(&layers, budget).map_err(self.wrong())
    }

    fn artifact(&self, mut found: Stored, platforms: &[Platform]) -> Result<Artifact, OciError> {
        for _ in 0..DEPTH {
            match manifest(&found.bytes, platforms).map_err(self.wrong())? {
                Manifest::Artifact(artifact) => return Ok(artifact),
                Manifest::Index(inner) => found = self.manifest(&inner.digest.to_string())?,
            }
        }
        let limit = DEPTH as u64;
        Err(self.wrong()(ArtifactError::Limit { what: "the number of indexes in one another".to_owned(), limit }))
    }

    fn layers(&self, artifact: &Artifact) -> Result<Vec<Vec<u8>>, OciError> {
        let total = artifact.layers.iter().fold(0_u64, |total, layer| total.saturating_add(layer.size));
        if total > LAYERS_BYTES {
            let what = format!("all layers together, {total} bytes,");
            return Err(self.wrong()(ArtifactError::Limit { what, limit: LAYERS_BYTES }));
        }
        artifact.layers.iter().map(|layer| self.blob(layer)).collect()
    }
}

#[cfg(test)]
mod tests;
