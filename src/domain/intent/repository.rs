//! `config.porch.kpt.dev/v1alpha1` Repository: a git repository of packages or of intents, or a registry of blueprints.
//!
//! Source: Porch's Repository (`type`, `git`, `oci.registry`, `secretRef`; `type` and `oci.registry` never change).
//! `verify` and `oci.packages` are ours.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::violation::Violation;
use crate::domain::id::PackageName;
use crate::domain::package::artifact::{ImageName, SCHEME};
use crate::domain::package::reference;

/// Annotation that tells what a repository holds; `intents` makes it a repository of intents.
pub const CONTENT: &str = "loggia.dev/content";

/// A repository, in the form that Porch defines.
#[derive(CustomResource, Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "config.porch.kpt.dev",
    version = "v1alpha1",
    kind = "Repository",
    plural = "repositories",
    shortname = "repo",
    namespaced,
    status = "RepositoryStatus",
    derive = "PartialEq",
    doc = "A git repository of packages or of intents, or a registry of blueprints.",
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "Deployment", type_ = "boolean", json_path = ".spec.deployment"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Packages", type_ = "integer", json_path = ".status.packageCount"),
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.git.repo"),
    printcolumn(name = "Registry", type_ = "string", json_path = ".spec.oci.registry", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether its packages run somewhere; blueprints do not.
    #[serde(default)]
    pub deployment: bool,
    /// `git` or `oci`; it never changes.
    #[serde(rename = "type", default = "git")]
    #[schemars(extend("x-kubernetes-validations" = [{"rule": "self == oldSelf", "message": "the type of a Repository never changes; make another one"}]))]
    pub kind: String,
    /// Where, for `git`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSpec>,
    /// Where, for `oci`. A registry is only read: it holds blueprints, not deployments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oci: Option<OciSpec>,
    /// Who must have signed what is taken from here. Default: nobody has to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifySpec>,
}

fn git() -> String {
    "git".to_owned()
}

/// A git repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GitSpec {
    /// URL or path.
    pub repo: String,
    /// Branch. Default `main`.
    #[serde(default = "main")]
    pub branch: String,
    /// Directory that holds the packages. Default: the root.
    #[serde(default)]
    pub directory: String,
    /// Secret of the same namespace that lets us in, when `repo` is an `https` URL: of type `kubernetes.io/basic-auth`
    /// with the keys `username` and `password`, or `Opaque` with the key `bearerToken`. Default: nobody signs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// A Secret of the namespace of the Repository. The reconciler needs the right to `get` it, and no other one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRef {
    /// Its name.
    pub name: String,
}

fn main() -> String {
    "main".to_owned()
}

/// Packages in an OCI registry: revision `vN` of the package `NAME` is the artifact `REGISTRY/NAME:vN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OciSpec {
    /// `HOST[:PORT][/PATH]`, the name that all packages have in front; it never changes.
    #[schemars(extend("x-kubernetes-validations" = [{"rule": "self == oldSelf", "message": "the registry of a Repository never changes; make another one"}]))]
    pub registry: String,
    /// The packages there. Default: all that the registry lists, which the public ones do not do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// Secret of the same namespace that lets us in, of type `kubernetes.io/dockerconfigjson`. Default: the
    /// `config.json` of Docker that the user of the reconciler has, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<SecretRef>,
}

/// Who must have signed what is taken from a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerifySpec {
    /// Public keys, each as a text; a signature by any of them counts.
    ///
    /// For `git`, whose commits or tags are signed: a public key of ssh (`ssh-ed25519 AAAA...`), lines of allowed
    /// signers as ssh-keygen(1) describes them, or an armoured `OpenPGP` public key. For `oci`: a key of cosign, as
    /// `cosign.pub` is; its signature may be under cosign's tag or in a sigstore bundle, and no transparency log is
    /// asked.
    pub keys: Vec<String>,
}

/// What kind of key a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyForm {
    /// A public key in PEM, as cosign writes it.
    Cosign,
    /// Public keys of ssh, or lines of allowed signers.
    Ssh,
    /// An armoured `OpenPGP` public key.
    OpenPgp,
}

impl KeyForm {
    /// The form of a key; `None` for what is no key.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        if text.contains("-----BEGIN PGP PUBLIC KEY BLOCK-----") {
            return Some(Self::OpenPgp);
        }
        if text.contains("-----BEGIN PUBLIC KEY-----") {
            return Some(Self::Cosign);
        }
        let is_signer = |line: &str| ["ssh-", "sk-", "ecdsa-"].iter().any(|kind| line.contains(kind));
        let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')).peekable();
        (lines.peek().is_some() && lines.all(is_signer)).then_some(Self::Ssh)
    }
}

/// Largest number of keys.
const KEYS: usize = 32;

impl RepositorySpec {
    /// The registry as a place: `oci://HOST[:PORT][/PATH]`.
    #[must_use]
    pub fn registry(&self) -> Option<String> {
        let oci = self.oci.as_ref().filter(|_| self.kind == "oci")?;
        Some(format!("{SCHEME}{}", oci.registry.strip_prefix(SCHEME).unwrap_or(&oci.registry).trim_end_matches('/')))
    }

    /// Name of the Secret that lets us in.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        let named = match self.kind.as_str() {
            "oci" => self.oci.as_ref().and_then(|oci| oci.secret_ref.as_ref()),
            _ => self.git.as_ref().and_then(|git| git.secret_ref.as_ref()),
        };
        named.map(|secret| secret.name.as_str())
    }

    /// The keys of which one must have signed; empty when nothing has to be signed.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.verify.iter().flat_map(|verify| verify.keys.clone()).collect()
    }
}

/// Everything that is wrong with a spec, at once. `intents` says that the repository holds intents, not packages.
#[must_use]
pub fn violations(spec: &RepositorySpec, intents: bool) -> Vec<Violation> {
    let mut found = Vec::new();
    match spec.kind.as_str() {
        "git" => check_git(spec, &mut found),
        "oci" => check_oci(spec, intents, &mut found),
        other => {
            let wrong = Violation::new("spec.type", format!("{other:?} is no type of repository"));
            found.push(wrong.hint("write git or oci"));
        }
    }
    if spec.secret().is_some_and(|name| !is_object_name(name)) {
        let field = format!("spec.{}.secretRef.name", spec.kind);
        let wrong = Violation::new(field, "is no name of a Secret");
        found.push(wrong.hint("name a Secret of the same namespace; those of others cannot be named"));
    }
    if let Some(verify) = &spec.verify {
        check_keys(spec, verify, intents, &mut found);
    }
    found
}

fn check_git(spec: &RepositorySpec, found: &mut Vec<Violation>) {
    if spec.git.is_none() {
        found.push(Violation::new("spec.git", "is missing").hint("say where: git: {repo: URL}"));
    }
    if let Some(Err(error)) = spec.git.as_ref().map(|git| reference::check(&git.branch)) {
        found.push(Violation::new("spec.git.branch", error.to_string()).hint("name a branch"));
    }
    if let Some(git) = spec.git.as_ref().filter(|git| git.secret_ref.is_some()) {
        check_secret(&git.repo, found);
    }
    if spec.oci.is_some() {
        found.push(Violation::new("spec.oci", "is only for type oci").hint("remove it, or write type: oci"));
    }
}

/// A Secret is for URLs that say nobody's password themselves.
fn check_secret(repo: &str, found: &mut Vec<Violation>) {
    let rest = repo.strip_prefix("https://").or_else(|| repo.strip_prefix("http://"));
    let wrong = match rest.map(|rest| rest.split('/').next().unwrap_or(rest)) {
        None => Violation::new("spec.git.secretRef", "is only for https:// URLs").hint("remove it"),
        Some(host) if host.contains('@') => {
            let wrong = Violation::new("spec.git.secretRef", "names credentials, and so does the URL");
            wrong.hint("remove user and password from spec.git.repo")
        }
        Some(_) => return,
    };
    found.push(wrong);
}

/// Whether a text is a DNS subdomain (RFC 1123), as names of Secrets are.
fn is_object_name(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn check_oci(spec: &RepositorySpec, intents: bool, found: &mut Vec<Violation>) {
    if spec.git.is_some() {
        found.push(Violation::new("spec.git", "is only for type git").hint("remove it, or write type: git"));
    }
    if spec.deployment {
        let wrong = Violation::new("spec.deployment", "a registry is only read; deployments are kept in git");
        found.push(wrong.hint("register a git repository for them, and this one without deployment: true"));
    }
    if intents {
        let wrong = Violation::new("metadata.annotations", "a registry holds no intents");
        found.push(wrong.hint("keep them in a git repository"));
    }
    let Some(oci) = &spec.oci else {
        found.push(Violation::new("spec.oci", "is missing").hint("say where: oci: {registry: HOST/PATH}"));
        return;
    };
    if let Err(error) = ImageName::parse(&format!("{}/package", spec.registry().unwrap_or_default())) {
        found.push(Violation::new("spec.oci.registry", format!("{:?}: {error}", oci.registry)));
    }
    for name in &oci.packages {
        if let Err(error) = PackageName::new(name.as_str()) {
            found.push(Violation::new("spec.oci.packages", error.to_string()));
        }
    }
}

fn check_keys(spec: &RepositorySpec, verify: &VerifySpec, intents: bool, found: &mut Vec<Violation>) {
    let mut told = |message: String, hint: &str| found.push(Violation::new("spec.verify.keys", message).hint(hint));
    if spec.deployment || intents {
        let what = if intents { "intents" } else { "deployments" };
        told(format!("signatures are demanded of blueprints so far, not of {what}"), "remove spec.verify");
    }
    if verify.keys.is_empty() || verify.keys.len() > KEYS {
        told(format!("there are {} keys", verify.keys.len()), "give 1 to 32, or remove spec.verify");
    }
    for (index, key) in verify.keys.iter().enumerate() {
        let fits = match KeyForm::of(key) {
            Some(KeyForm::Cosign) => spec.kind == "oci",
            Some(KeyForm::Ssh | KeyForm::OpenPgp) => spec.kind == "git",
            None => false,
        };
        if !fits {
            let hint = match spec.kind.as_str() {
                "oci" => "give the text of cosign.pub",
                _ => "give a public key of ssh, lines of allowed signers, or an armoured OpenPGP public key",
            };
            told(format!("key {index} is no key that signs in {}", spec.kind), hint);
        }
    }
}

/// What is known of a Repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct RepositoryStatus {
    /// Ready: it was read whole; its message lists what could not be read. Verified, with `spec.verify`: the newest
    /// revision of each package is signed; its message lists those that are not.
    pub conditions: Vec<Condition>,
    /// Generation that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Packages in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_count: Option<i64>,
    /// Commit of its branch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git_commit_hash: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSIGN: &str = "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n";
    const SSH: &str = "ssh-ed25519 AAAA person@example.com";

    fn told(yaml: &str, intents: bool) -> String {
        let spec: RepositorySpec = serde_json::from_value(serde_json::from_str(yaml).unwrap()).unwrap();
        violations(&spec, intents).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn what_is_wrong_is_named() {
        let keys = |kind: &str, place: &str, key: &str| {
            format!(r#"{{"type":"{kind}",{place},"verify":{{"keys":[{}]}}}}"#, serde_json::json!(key))
        };
        let (git, oci) = (r#""git":{"repo":"/r"}"#, r#""oci":{"registry":"r.example/p"}"#);
        for right in [
            format!("{{{git}}}"),
            format!(r#"{{"type":"oci",{oci}}}"#),
            r#"{"type":"oci","oci":{"registry":"127.0.0.1:5000","packages":["upf","net/amf"]}}"#.to_owned(),
            keys("git", git, SSH),
            keys("git", git, &format!("person@example.com namespaces=\"git\" {SSH}")),
            keys("oci", oci, COSIGN),
        ] {
            assert_eq!(told(&right, false), "", "{right}");
        }
        let table = [
            (r#"{"type":"s3"}"#.to_owned(), "\"s3\" is no type of repository"),
            (r#"{"type":"git"}"#.to_owned(), "spec.git: is missing"),
            (r#"{"type":"oci"}"#.to_owned(), "spec.oci: is missing"),
            (format!(r#"{{"type":"git",{git},{oci}}}"#), "spec.oci: is only for type oci"),
            (format!(r#"{{"type":"oci",{git},{oci}}}"#), "spec.git: is only for type git"),
            (
                format!(r#"{{"type":"oci","deployment":true,{oci}}}"#),
                "a registry is only read; deployments are kept in git",
            ),
            (r#"{"type":"oci","oci":{"registry":"Upper/Case"}}"#.to_owned(), "oci.reference"),
            (
                r#"{"type":"oci","oci":{"registry":"r.example","packages":["../x"]}}"#.to_owned(),
                "DNS labels joined by /",
            ),
            (keys("oci", oci, SSH), "key 0 is no key that signs in oci"),
            (keys("git", git, COSIGN), "key 0 is no key that signs in git"),
            (keys("git", git, "secret"), "key 0 is no key"),
            (format!(r#"{{{git},"verify":{{"keys":[]}}}}"#), "there are 0 keys"),
            (r#"{"git":{"repo":"/r","secretRef":{"name":"s"}}}"#.to_owned(), "is only for https:// URLs"),
            (r#"{"git":{"repo":"https://u:p@h/r","secretRef":{"name":"s"}}}"#.to_owned(), "and so does the URL"),
            (
                r#"{"git":{"repo":"https://h/r","secretRef":{"name":"../s"}}}"#.to_owned(),
                "git.secretRef.name: is no name",
            ),
            (
                r#"{"type":"oci","oci":{"registry":"r.example","secretRef":{"name":"kube-system/s"}}}"#.to_owned(),
                "spec.oci.secretRef.name: is no name",
            ),
            (r#"{"git":{"repo":"/r","branch":":main"}}"#.to_owned(), "spec.git.branch: \":main\" is a refspec"),
            (r#"{"git":{"repo":"/r","branch":"+a:b"}}"#.to_owned(), "[git.refspec_denied]"),
            (r#"{"git":{"repo":"/r","branch":"--upload-pack=x"}}"#.to_owned(), "[git.ref_invalid]"),
            (format!(r#"{{"deployment":true,{git},"verify":{{"keys":["{SSH}"]}}}}"#), "not of deployments"),
        ];
        for (wrong, words) in table {
            let said = told(&wrong, false);
            assert!(said.contains(words), "{wrong}: {said}");
        }
        assert!(told(&format!(r#"{{"type":"oci",{oci}}}"#), true).contains("a registry holds no intents"));
    }

    #[test]
    fn a_registry_is_a_place() {
        let spec = |registry: &str| RepositorySpec {
            description: None,
            deployment: false,
            kind: "oci".to_owned(),
            git: None,
            oci: Some(OciSpec { registry: registry.to_owned(), packages: Vec::new(), secret_ref: None }),
            verify: None,
        };
        for text in ["r.example/p", "oci://r.example/p", "r.example/p/"] {
            assert_eq!(spec(text).registry().as_deref(), Some("oci://r.example/p"), "{text}");
        }
    }
}
