//! Signatures as people make them: with ssh-keygen, and with openssl in cosign's form.

#![allow(dead_code, clippy::unwrap_used, clippy::print_stdout, reason = "as in all of these")]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::registry::{Registry, checked};

/// Whether a program is there; a line says so when it is not.
pub(crate) fn is_there(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        println!("not run: there is no {program}");
    }
    found
}

/// Runs openssl in a folder.
pub(crate) fn openssl(folder: &Path, args: &[&str]) -> String {
    checked("openssl", args, &Command::new("openssl").args(args).current_dir(folder).output().unwrap())
}

/// Makes a key pair as `cosign generate-key-pair` does, `NAME.key` and `NAME.pub`; gives the public one.
pub(crate) fn cosign_key(folder: &Path, name: &str) -> String {
    let (key, public) = (format!("{name}.key"), format!("{name}.pub"));
    openssl(folder, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key]);
    openssl(folder, &["ec", "-in", &key, "-pubout", "-out", &public]);
    std::fs::read_to_string(folder.join(public)).unwrap()
}

/// Signs a manifest as `cosign sign --key NAME.key` does.
pub(crate) fn cosign(folder: &Path, name: &str, registry: &Registry, repository: &str, digest: &str) {
    let payload = format!(
        "{{\"critical\":{{\"identity\":{{\"docker-reference\":\"\"}},\"image\":{{\"docker-manifest-digest\":\"{digest}\"}},\
         \"type\":\"cosign container image signature\"}},\"optional\":null}}"
    );
    std::fs::write(folder.join("payload"), &payload).unwrap();
    let key = format!("{name}.key");
    openssl(folder, &["dgst", "-sha256", "-sign", &key, "-out", "signature", "payload"]);
    let signature = openssl(folder, &["base64", "-A", "-in", "signature"]);
    let mut layer = registry.blob(repository, "application/vnd.dev.cosign.simplesigning.v1+json", payload.as_bytes());
    layer["annotations"] = serde_json::json!({"dev.cosignproject.cosign/signature": signature.trim()});
    let tag = format!("{}.sig", digest.replace(':', "-"));
    registry.manifest(repository, &tag, "application/vnd.oci.image.config.v1+json", &[layer]);
}

/// Signs bytes with openssl; gives the signature in base64.
fn signature(folder: &Path, name: &str, message: &[u8]) -> String {
    std::fs::write(folder.join("message"), message).unwrap();
    openssl(folder, &["dgst", "-sha256", "-sign", &format!("{name}.key"), "-out", "signature", "message"]);
    openssl(folder, &["base64", "-A", "-in", "signature"]).trim().to_owned()
}

fn base64(folder: &Path, bytes: &[u8]) -> String {
    std::fs::write(folder.join("bytes"), bytes).unwrap();
    openssl(folder, &["base64", "-A", "-in", "bytes"]).trim().to_owned()
}

/// A bundle as `cosign sign --new-bundle-format --key NAME.key` makes one: an envelope with a statement about a digest.
pub(crate) fn statement(folder: &Path, name: &str, digest: &str, says: &str) -> Value {
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest.trim_start_matches("sha256:")}}],
        "predicateType": says, "predicate": {}
    });
    let (payload, kind) = (payload.to_string(), "application/vnd.in-toto+json");
    let message = format!("DSSEv1 {} {kind} {} {payload}", kind.len(), payload.len());
    let envelope = json!({
        "payload": base64(folder, payload.as_bytes()), "payloadType": kind,
        "signatures": [{"sig": signature(folder, name, message.as_bytes())}]
    });
    json!({
        "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "aGludA=="}}, "dsseEnvelope": envelope
    })
}

/// A bundle with a signature of the manifest itself.
pub(crate) fn message(folder: &Path, name: &str, manifest: &str) -> Value {
    std::fs::write(folder.join("manifest"), manifest).unwrap();
    openssl(folder, &["dgst", "-sha256", "-binary", "-out", "digest", "manifest"]);
    let digest = base64(folder, &std::fs::read(folder.join("digest")).unwrap());
    json!({
        "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "aGludA=="}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": digest},
            "signature": signature(folder, name, manifest.as_bytes())
        }
    })
}

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Attaches bundles to a manifest: each as a manifest of its own, all of them in the list under the tag for registries
/// that keep no such list.
pub(crate) fn attach(registry: &Registry, repository: &str, digest: &str, bundles: &[Value]) {
    let (manifest, index) = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json");
    let mut listed = Vec::new();
    for bundle in bundles {
        let layer = registry.blob(repository, BUNDLE, bundle.to_string().as_bytes());
        let config = registry.blob(repository, "application/vnd.oci.empty.v1+json", b"{}");
        let document = json!({
            "schemaVersion": 2, "mediaType": manifest, "artifactType": BUNDLE, "config": config, "layers": [layer],
            "subject": {"mediaType": manifest, "digest": digest, "size": 2}
        });
        let at = registry.document(repository, None, &document);
        let size = document.to_string().len();
        listed.push(json!({"mediaType": manifest, "digest": at, "size": size, "artifactType": BUNDLE}));
    }
    let list = json!({"schemaVersion": 2, "mediaType": index, "manifests": listed});
    registry.document(repository, Some(&digest.replace(':', "-")), &list);
}

/// Makes a key pair of ssh, `NAME` and `NAME.pub`; gives the public one.
pub(crate) fn ssh_key(folder: &Path, name: &str) -> String {
    let args = ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name];
    checked("ssh-keygen", &args, &Command::new("ssh-keygen").args(args).current_dir(folder).output().unwrap());
    std::fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap().trim().to_owned()
}
