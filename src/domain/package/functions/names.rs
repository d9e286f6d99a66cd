//! Names and versions of images: which of our functions an image means, and which of its versions.

/// Prefixes under which the catalogue is published; `kpt` puts the first before a short name.
const PREFIXES: [&str; 5] = [
    "ghcr.io/kptdev/krm-functions-catalog/krm-fn-contrib/",
    "ghcr.io/kptdev/krm-functions-catalog/",
    "gcr.io/kpt-fn-contrib/",
    "gcr.io/kpt-fn/",
    "docker.io/kptdev/",
];

/// Tags that mean no version.
const MOVING: [&str; 3] = ["latest", "unstable", "main"];

/// The version that a package asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::domain::package) enum Version {
    /// None: the documented behaviour.
    Documented,
    /// A published family, such as `v0.2`: its images' behaviour, slips included.
    Family(&'static str),
}

impl Version {
    /// Whether the package pins one of these families.
    pub(super) fn is_one_of(self, families: &[&str]) -> bool {
        matches!(self, Self::Family(family) if families.contains(&family))
    }
}

/// The catalogue name of an image: `ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2.0` is `set-labels`.
#[must_use]
pub fn short_name(image: &str) -> &str {
    split(image).0
}

/// Name and tag; a digest says nothing about a version.
fn split(image: &str) -> (&str, Option<&str>) {
    let bare = PREFIXES.iter().find_map(|prefix| image.strip_prefix(prefix)).unwrap_or(image);
    let bare = bare.split('@').next().unwrap_or(bare);
    match bare.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (bare, None),
    }
}

/// The version that an image asks for; `None` when its tag was never published.
pub(super) fn version(image: &str, families: &[&'static str]) -> Option<Version> {
    let Some(tag) = split(image).1.filter(|tag| !MOVING.contains(tag)) else { return Some(Version::Documented) };
    let is_in = |family: &&'static str| match tag.strip_prefix(*family) {
        Some("") => true,
        Some(rest) => rest
            .strip_prefix('.')
            .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())),
        None => false,
    };
    families.iter().copied().find(is_in).map(Version::Family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_published_form_of_a_name_is_known() {
        for image in [
            "set-labels",
            "set-labels:v0.2",
            "gcr.io/kpt-fn/set-labels:v0.2.0",
            "ghcr.io/kptdev/krm-functions-catalog/set-labels:latest",
            "gcr.io/kpt-fn/set-labels@sha256:0123",
            "gcr.io/kpt-fn/set-labels:v0.1.5@sha256:0123",
        ] {
            assert_eq!(short_name(image), "set-labels", "{image}");
        }
        assert_eq!(short_name("localhost:5000/set-labels"), "localhost:5000/set-labels");
    }

    #[test]
    fn tags_name_families() {
        let families = ["v0.1", "v0.2"];
        let table = [
            ("f", Some(Version::Documented)),
            ("f:latest", Some(Version::Documented)),
            ("f:unstable", Some(Version::Documented)),
            ("f@sha256:01", Some(Version::Documented)),
            ("f:v0.1", Some(Version::Family("v0.1"))),
            ("f:v0.2.7", Some(Version::Family("v0.2"))),
            ("f:v0.20", None),
            ("f:v0.2.", None),
            ("f:v0.2.x", None),
            ("f:0.2", None),
            ("f:v1.0.0", None),
        ];
        for (image, expected) in table {
            assert_eq!(version(image, &families), expected, "{image}");
        }
    }
}
