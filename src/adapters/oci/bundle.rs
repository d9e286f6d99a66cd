//! Sigstore bundles by a key, as cosign 3 signs: JSON that refers to a manifest and holds a signature of it.
//!
//! Sources: sigstore's protobuf-specs (`sigstore_bundle.proto` 0.3, its JSON form), cosign's `BUNDLE_SPEC.md`, DSSE 1.0
//! (pre-authentication encoding), in-toto's Statement v1, OCI distribution specification 1.1 (referrers and their tag
//! schema). With a key there is nothing to look up in a transparency log, so entries of logs and time stamps in a
//! bundle are not read; certificates are no keys and count for nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::cosign::PublicKey;
use crate::domain::hex::hex;
use crate::domain::package::artifact::ContentDigest;

/// How the media types of all versions of bundles begin.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle";
const STATEMENT: &str = "application/vnd.in-toto+json";
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];
/// What a statement says that is a signature and not a report on something.
const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// Most signatures of one envelope that are tried.
const SIGNATURES: usize = 32;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    #[serde(default)]
    media_type: String,
    message_signature: Option<MessageSignature>,
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageSignature {
    message_digest: Option<MessageDigest>,
    signature: String,
}

#[derive(Deserialize)]
struct MessageDigest {
    algorithm: String,
    digest: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Deserialize)]
struct Signature {
    sig: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    #[serde(default)]
    digest: std::collections::BTreeMap<String, String>,
}

/// What is wrong with a bundle as a signature of a manifest.
pub(super) fn judge(bundle: &[u8], digest: &ContentDigest, manifest: &[u8], keys: &[PublicKey]) -> Result<(), String> {
    let bundle: Bundle = serde_json::from_slice(bundle).map_err(|error| format!("it is no bundle: {error}"))?;
    if !bundle.media_type.starts_with(BUNDLE) {
        return Err("it does not say that it is a bundle".to_owned());
    }
    match (bundle.message_signature, bundle.dsse_envelope) {
        (Some(message), None) => message.judge(digest, manifest, keys),
        (None, Some(envelope)) => envelope.judge(digest, keys),
        _ => Err("it holds neither a signature nor an envelope, or both".to_owned()),
    }
}

fn decoded(text: &str, what: &str) -> Result<Vec<u8>, String> {
    STANDARD.decode(text).map_err(|_| format!("its {what} is not base64"))
}

fn by_another() -> String {
    "its signature is by another key".to_owned()
}

impl MessageSignature {
    /// The message is the manifest.
    fn judge(&self, digest: &ContentDigest, manifest: &[u8], keys: &[PublicKey]) -> Result<(), String> {
        let signature = decoded(&self.signature, "signature")?;
        if let Some(message) = &self.message_digest {
            let told = hex(&decoded(&message.digest, "digest")?);
            if message.algorithm != "SHA2_256" || told != digest.hex() {
                return Err(format!("it is of {} {told}", message.algorithm));
            }
        }
        if keys.iter().any(|key| key.signed(manifest, &signature)) { Ok(()) } else { Err(by_another()) }
    }
}

impl Envelope {
    fn judge(&self, digest: &ContentDigest, keys: &[PublicKey]) -> Result<(), String> {
        let payload = decoded(&self.payload, "payload")?;
        let message = encoded(&self.payload_type, &payload);
        let mut signatures = self.signatures.iter().take(SIGNATURES).filter_map(|one| STANDARD.decode(&one.sig).ok());
        if !signatures.any(|signature| keys.iter().any(|key| key.signed(&message, &signature))) {
            return Err(by_another());
        }
        // Only from here on is anything believed.
        if self.payload_type != STATEMENT {
            return Err(format!("its payload is {:?}, not a statement", self.payload_type));
        }
        let statement: Statement =
            serde_json::from_slice(&payload).map_err(|error| format!("its statement cannot be read: {error}"))?;
        statement.judge(digest)
    }
}

impl Statement {
    fn judge(&self, digest: &ContentDigest) -> Result<(), String> {
        if !STATEMENT_TYPES.contains(&self.kind.as_str()) {
            return Err(format!("its statement is {:?}", self.kind));
        }
        if self.predicate_type != SIGNED {
            return Err(format!("it says {:?} of something, which is no signature", self.predicate_type));
        }
        let is_it = |subject: &Subject| subject.digest.get("sha256").is_some_and(|hex| hex == digest.hex());
        if self.subject.iter().any(is_it) { Ok(()) } else { Err("its statement is of something else".to_owned()) }
    }
}

/// What is signed of an envelope: DSSE's pre-authentication encoding.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the DSSE specification.
    #[test]
    fn an_envelope_signs_its_type_too() {
        let message = encoded("http://example.com/HelloWorld", b"hello world");
        assert_eq!(message, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }
}
