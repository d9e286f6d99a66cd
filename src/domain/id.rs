//! Identities as types: a name that reached a domain function has been checked once, at the border.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex::hex;

/// A name or id that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: {rule}")]
pub struct InvalidId {
    /// Which identity was being read, such as `package name`.
    pub kind: &'static str,
    /// The text that was refused, cut to 120 characters.
    pub value: String,
    /// The rule in words.
    pub rule: &'static str,
}

macro_rules! identity {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $check:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks `value` against the rule of this identity.
            ///
            /// # Errors
            /// [`InvalidId`] when the rule is broken.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidId> {
                let value = value.into();
                let check: fn(&str) -> bool = $check;
                if check(&value) {
                    Ok(Self(value))
                } else {
                    Err(InvalidId { kind: $kind, value: value.chars().take(120).collect(), rule: $rule })
                }
            }

            /// The text of this identity.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(value: String) -> Result<Self, InvalidId> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

/// RFC 1123 label: 1 to 63 of `a-z0-9-`, alphanumeric at both ends.
#[must_use]
pub fn is_dns_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= 63
        && bytes.iter().all(|&b| alnum(b) || b == b'-')
        && alnum(bytes[0])
        && alnum(bytes[bytes.len() - 1])
}

/// RFC 1123 subdomain: labels joined by dots, at most 253 characters.
#[must_use]
pub fn is_dns_subdomain(value: &str) -> bool {
    value.len() <= 253 && value.split('.').all(is_dns_label)
}

fn is_hex_object_id(value: &str) -> bool {
    (value.len() == 40 || value.len() == 64) && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_sha256(value: &str) -> bool {
    value.len() == 64 && value.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

identity!(
    /// Name of a `Repository` object.
    RepositoryName, "repository name", is_dns_label, "1 to 63 of a-z, 0-9 and -, alphanumeric at both ends"
);
identity!(
    /// Path of a package below its repository's directory, such as `edge/upf`: DNS labels joined by `/`.
    PackageName, "package name",
    |v| v.split('/').all(is_dns_label),
    "DNS labels joined by /"
);
identity!(
    /// Workspace of a package revision; unique per package.
    WorkspaceName, "workspace name",
    |v| is_dns_subdomain(v) && v.len() <= 63,
    "1 to 63 of a-z, 0-9, - and ., alphanumeric at both ends"
);
identity!(
    /// Object name of a package revision: `<repo>.<path with dots>.<package>.<workspace>`.
    RevisionName, "package revision name", is_dns_subdomain, "a DNS subdomain of at most 253 characters"
);
identity!(
    /// Name of a `Target` object.
    TargetName, "target name", is_dns_subdomain, "a DNS subdomain of at most 253 characters"
);
identity!(
    /// Id of a git commit in lowercase hex.
    CommitId, "commit id", is_hex_object_id, "40 or 64 lowercase hex digits"
);
identity!(
    /// Id of a git tree in lowercase hex: the identity of a package's content.
    TreeId, "tree id", is_hex_object_id, "40 or 64 lowercase hex digits"
);
identity!(
    /// SHA-256 over canonical content, in lowercase hex.
    Digest, "digest", is_sha256, "64 lowercase hex digits"
);
identity!(
    /// Identity of a plan: digest over what is declared and what will be done.
    PlanId, "plan id", is_sha256, "64 lowercase hex digits"
);

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex(&Sha256::digest(bytes)))
    }

    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl PlanId {
    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }

    /// A plan's identity is a digest; this only changes its type.
    #[must_use]
    pub fn from_digest(digest: Digest) -> Self {
        Self(digest.0)
    }
}

impl CommitId {
    /// The first twelve digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl PackageName {
    /// The last segment: the package's own name.
    #[must_use]
    pub fn leaf(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }
}

/// Namespaced name of an object in the management cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamespacedName {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One Sync on one target: the thing that has an inventory, a plan, a health and a history.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitId {
    /// The Sync.
    pub sync: NamespacedName,
    /// The target.
    pub target: TargetName,
}

impl fmt::Display for UnitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.sync, self.target)
    }
}
