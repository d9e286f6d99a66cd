//! Signatures by a key, as cosign keeps them beside an image: a manifest under the tag `sha256-HEX.sig` whose layers are
//! signed payloads (Red Hat's simple signing, cosign's signature specification). Sigstore bundles and certificates are
//! not read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

use super::{OciError, Registry};
use crate::domain::package::artifact::{ContentDigest, Descriptor, layers};

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const TYPE: &str = "cosign container image signature";
/// Largest payload in bytes, and most signatures that are tried.
const PAYLOAD_BYTES: u64 = 64 << 10;
const SIGNATURES: usize = 32;
/// A `SubjectPublicKeyInfo` (RFC 5480) of a P-256 point that is not compressed, up to the point.
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// Why an image is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The key cannot be used.
    #[error("the key is no public key of ECDSA P-256 in PEM, as cosign.pub is [oci.signature]")]
    Key,
    /// There is no signature.
    #[error("{digest} is not signed: there is no tag {tag} [oci.signature]")]
    Unsigned {
        /// Which manifest.
        digest: ContentDigest,
        /// Where a signature would be.
        tag: String,
    },
    /// There are signatures, but not by this key or not of this image.
    #[error("{digest} is not signed with this key: {reasons} [oci.signature]")]
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

    fn signed(&self, payload: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(payload, signature).is_ok()
    }
}

impl Registry {
    /// Whether a manifest is signed with a key.
    ///
    /// # Errors
    /// [`OciError::Signature`] when it is not, and whatever keeps the signatures from being read.
    pub(super) fn verify(&self, digest: &ContentDigest, key: &PublicKey) -> Result<(), OciError> {
        let tag = format!("sha256-{}.sig", digest.hex());
        let wrong = |source| OciError::Signature { image: self.image.to_string(), source };
        let found = match self.manifest(&tag) {
            Err(OciError::NotFound { .. }) => {
                return Err(wrong(SignatureError::Unsigned { digest: digest.clone(), tag }));
            }
            other => other?,
        };
        let mut reasons = Vec::new();
        for layer in layers(&found.bytes).map_err(self.wrong())?.iter().take(SIGNATURES) {
            match self.judge(layer, digest, key)? {
                Ok(()) => return Ok(()),
                Err(reason) => reasons.push(reason),
            }
        }
        let reasons =
            if reasons.is_empty() { "its manifest of signatures is empty".to_owned() } else { reasons.join("; ") };
        Err(wrong(SignatureError::Untrusted { digest: digest.clone(), reasons }))
    }

    /// What is wrong with one signature.
    fn judge(
        &self,
        layer: &Descriptor,
        digest: &ContentDigest,
        key: &PublicKey,
    ) -> Result<Result<(), String>, OciError> {
        if layer.media_type != PAYLOAD || layer.size > PAYLOAD_BYTES {
            return Ok(Err(format!("{} is no signed payload", layer.digest)));
        }
        let signature = layer.annotations.get(SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let Some(signature) = signature else {
            return Ok(Err(format!("{} has no signature", layer.digest)));
        };
        let payload = self.blob(layer)?;
        if !key.signed(&payload, &signature) {
            return Ok(Err(format!("the signature of {} is by another key", layer.digest)));
        }
        Ok(match signed_digest(&payload) {
            Some(signed) if signed == digest.to_string() => Ok(()),
            Some(signed) => Err(format!("the signature is of {signed}")),
            None => Err(format!("{} says not which image it signs", layer.digest)),
        })
    }
}

fn signed_digest(payload: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    text("/critical/type").filter(|kind| *kind == TYPE)?;
    text("/critical/image/docker-manifest-digest").map(str::to_owned)
}
