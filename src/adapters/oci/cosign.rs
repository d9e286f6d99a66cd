//! Signatures by a key, as cosign keeps them beside an image: a manifest under the tag `sha256-HEX.sig` whose layers
//! are signed payloads (Red Hat's simple signing, cosign's signature specification), or bundles that refer to it
//! (cosign 3). Either is enough. No transparency log is asked; certificates are not read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

use super::bundle::{self, BUNDLE};
use super::http::Accept;
use super::{OciError, Registry, Stored};
use crate::domain::package::artifact::{ContentDigest, Descriptor, layers, referring};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const TYPE: &str = "cosign container image signature";
/// A list of manifests; the largest one of referrers, and the largest bundle, in bytes.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const REFERRERS_BYTES: u64 = 4 << 20;
const BUNDLE_BYTES: u64 = 1 << 20;
/// Largest payload in bytes, and most signatures that are tried.
const PAYLOAD_BYTES: u64 = 64 << 10;
const SIGNATURES: usize = 32;
/// A `SubjectPublicKeyInfo` (RFC 5480) of a P-256 point that is not compressed, up to the point.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// How a signature is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As a layer of the manifest under a tag.
    Tag,
    /// As a bundle that refers to what it signs.
    Bundle,
}

/// Why an image is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key cannot be used.
    #[error("the key is no public key of ECDSA P-256 in PEM, as cosign.pub is [oci.signature]")]
    Key,
    /// There is no signature.
    #[error("{digest} is not signed: there is no tag {tag}, and no sigstore bundle that refers to it [oci.signature]")]
    Unsigned {
        /// Which manifest.
        digest: ContentDigest,
        /// Where a signature would be.
        tag: String,
    },
    /// There are signatures, but not by a key that counts, or not of this image.
    #[error("{digest} is not signed with any key that counts: {reasons} [oci.signature]")]
    Untrusted {
        /// Which manifest.
        digest: ContentDigest,
        /// What is wrong with each signature.
        reasons: String,
    },
}

/// A key that signatures are checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

impl PublicKey {
    /// Reads a PEM file such as `cosign.pub`.
    ///
    /// # Errors
    /// [`SignatureError::Key`].
    pub fn parse(pem: &str) -> Result<Self, SignatureError> {
        let lines = pem.lines().map(str::trim).skip_while(|line| *line != "-----BEGIN PUBLIC KEY-----").skip(1);
        let body: String = lines.take_while(|line| *line != "-----END PUBLIC KEY-----").collect();
        let der = STANDARD.decode(body).map_err(|_| SignatureError::Key)?;
        match der.strip_prefix(&P256) {
            Some(point) if point.len() == 65 && point[0] == 4 => Ok(Self(point.to_vec())),
            _ => Err(SignatureError::Key),
        }
    }

    pub(super) fn signed(&self, payload: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(payload, signature).is_ok()
    }
}

/// What was found instead of a signature that counts: anybody may put something beside an image, so nothing that is
/// broken hides what comes after it.
#[derive(Debug, Default)]
struct Search {
    /// What is wrong with each.
    reasons: Vec<String>,
    /// Why one is not known. It could be good, so this is told when no other is.
    unheard: Option<OciError>,
}

impl Search {
    fn heard<T>(&mut self, answer: Result<T, OciError>) -> Option<T> {
        match answer {
            Ok(found) => return Some(found),
            Err(
                broken @ (OciError::NotFound { .. }
                | OciError::Artifact { .. }
                | OciError::Digest { .. }
                | OciError::Size { .. }
                | OciError::Limit { .. }),
            ) => self.reasons.push(broken.to_string()),
            Err(other) => {
                self.unheard.get_or_insert(other);
            }
        }
        None
    }
}

impl Registry {
    /// Whether a manifest is signed with one of the keys; without keys, nothing has to be signed.
    ///
    /// # Errors
    /// [`OciError::Signature`] when it is not, and whatever keeps the signatures from being read.
    pub(super) fn verify(&self, digest: &ContentDigest, keys: &[PublicKey]) -> Result<(), OciError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut search = Search::default();
        for form in [Form::Tag, Form::Bundle] {
            for layer in self.signatures(form, digest, &mut search) {
                match search.heard(self.judge(form, &layer, digest, keys)) {
                    Some(Ok(())) => return Ok(()),
                    Some(Err(reason)) => search.reasons.push(reason),
                    None => {}
                }
            }
        }
        if let Some(error) = search.unheard {
            return Err(error);
        }
        let digest = digest.clone();
        let source = if search.reasons.is_empty() {
            let tag = tag(&digest);
            SignatureError::Unsigned { digest, tag }
        } else {
            SignatureError::Untrusted { digest, reasons: search.reasons.join("; ") }
        };
        Err(OciError::Signature { image: self.image.to_string(), source })
    }

    /// What may hold a signature of a manifest.
    fn signatures(&self, form: Form, digest: &ContentDigest, search: &mut Search) -> Vec<Descriptor> {
        let mut found = Vec::new();
        for (manifest, most) in self.signing(form, digest, search) {
            let Some(layers) = search.heard(layers(&manifest.bytes).map_err(self.wrong())) else { continue };
            if layers.is_empty() {
                search.reasons.push(format!("its manifest of signatures, {}, is empty", manifest.digest));
            }
            found.extend(layers.into_iter().take(most));
        }
        found
    }

    /// The manifests that hold signatures, and how many layers of each are looked at.
    fn signing(&self, form: Form, digest: &ContentDigest, search: &mut Search) -> Vec<(Stored, usize)> {
        if form == Form::Tag {
            let tagged = search.heard(found(self.manifest(&tag(digest)))).flatten();
            return tagged.into_iter().map(|manifest| (manifest, SIGNATURES)).collect();
        }
        let index = search.heard(self.referrers(digest)).flatten();
        let referring = index.and_then(|index| search.heard(referring(&index, BUNDLE).map_err(self.wrong())));
        let referring = referring.into_iter().flatten().take(SIGNATURES);
        referring.filter_map(|referrer| Some((search.heard(self.manifest(&referrer.to_string()))?, 1))).collect()
    }

    /// What is wrong with one signature.
    fn judge(
        &self,
        form: Form,
        layer: &Descriptor,
        digest: &ContentDigest,
        keys: &[PublicKey],
    ) -> Result<Result<(), String>, OciError> {
        match form {
            Form::Tag => self.judge_payload(layer, digest, keys),
            Form::Bundle => {
                let judged = self.judge_bundle(layer, digest, keys)?;
                Ok(judged.map_err(|reason| format!("the bundle {}: {reason}", layer.digest)))
            }
        }
    }

    /// What refers to a manifest: a list of manifests, from the registry or, where it keeps none, from the tag where
    /// whoever pushes notes them.
    fn referrers(&self, digest: &ContentDigest) -> Result<Option<Vec<u8>>, OciError> {
        let path = format!("/v2/{}/referrers/{digest}", self.image.repository);
        let act = format!("listing what refers to {digest}");
        let answer = self.exchange.get(&path, &act, &Accept::Manifest(INDEX.to_owned()), REFERRERS_BYTES);
        if let Some(answer) = found(answer)? {
            return Ok(Some(answer.body));
        }
        let noted = found(self.manifest(&format!("sha256-{}", digest.hex())))?;
        Ok(noted.map(|noted| noted.bytes))
    }

    fn judge_bundle(
        &self,
        layer: &Descriptor,
        digest: &ContentDigest,
        keys: &[PublicKey],
    ) -> Result<Result<(), String>, OciError> {
        if !layer.media_type.starts_with(BUNDLE) || layer.size > BUNDLE_BYTES {
            return Ok(Err(format!("it is {}, {} bytes, and not read", layer.media_type, layer.size)));
        }
        let bundle = self.blob(layer)?;
        let manifest = self.manifest(&digest.to_string())?;
        Ok(bundle::judge(&bundle, digest, &manifest.bytes, keys))
    }

    fn judge_payload(
        &self,
        layer: &Descriptor,
        digest: &ContentDigest,
        keys: &[PublicKey],
    ) -> Result<Result<(), String>, OciError> {
        if layer.media_type != PAYLOAD || layer.size > PAYLOAD_BYTES {
            return Ok(Err(format!("{} is no signed payload", layer.digest)));
        }
        let signature = layer.annotations.get(SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let Some(signature) = signature else {
            return Ok(Err(format!("{} has no signature", layer.digest)));
        };
        let payload = self.blob(layer)?;
        if !keys.iter().any(|key| key.signed(&payload, &signature)) {
            return Ok(Err(format!("the signature of {} is by another key", layer.digest)));
        }
        Ok(match signed_digest(&payload) {
            Some(signed) if signed == digest.to_string() => Ok(()),
            Some(signed) => Err(format!("the signature is of {signed}")),
            None => Err(format!("{} says not which image it signs", layer.digest)),
        })
    }
}

/// Where cosign keeps the signatures of a manifest.
fn tag(digest: &ContentDigest) -> String {
    format!("sha256-{}.sig", digest.hex())
}

/// What is there; nothing when the registry says that it is not.
fn found<T>(answer: Result<T, OciError>) -> Result<Option<T>, OciError> {
    match answer {
        Err(OciError::NotFound { .. }) => Ok(None),
        other => other.map(Some),
    }
}

fn signed_digest(payload: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    text("/critical/type").filter(|kind| *kind == TYPE)?;
    text("/critical/image/docker-manifest-digest").map(str::to_owned)
}
