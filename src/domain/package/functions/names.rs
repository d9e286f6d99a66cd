//! Names and versions of images: which of our functions an image means, and which of its versions.

use crate::domain::package::versions::Versions;

/// Prefixes under which the catalogue is published; `kpt` puts the first before a short name.
const PREFIXES: [&str; 4] = [
    "ghcr.io/kptdev/krm-functions-catalog/krm-fn-contrib/",
    "ghcr.io/kptdev/krm-functions-catalog/",
    "gcr.io/kpt-fn-contrib/",
    "gcr.io/kpt-fn/",
];

/// What comes before a short name when nothing else is asked for.
pub const PREFIX: &str = "ghcr.io/kptdev/krm-functions-catalog";

/// The whole name of an image: a short one behind `prefix`, one without a version with `latest`; `tag` takes the place
/// of its version.
#[must_use]
pub fn resolved(image: &str, tag: Option<&str>, prefix: &str) -> String {
    let prefix = prefix.trim_end_matches('/');
    let whole = if image.contains('/') || prefix.is_empty() { image.to_owned() } else { format!("{prefix}/{image}") };
    let name_at = whole.rfind('/').map_or(0, |at| at + 1);
    let version_at = whole[name_at..].find([':', '@']).map(|at| name_at + at);
    match (tag, version_at) {
        (Some(tag), at) => format!("{}:{tag}", &whole[..at.unwrap_or(whole.len())]),
        (None, Some(_)) => whole,
        (None, None) => format!("{whole}:latest"),
    }
}

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

/// Whether a digest pins the bytes of an image; a `tag` that is given beside takes its place. Such an image is no
/// built-in function, which is other code, whatever it is called.
#[must_use]
pub fn is_pinned(image: &str, tag: Option<&str>) -> bool {
    tag.is_none() && image.contains('@')
}

/// The catalogue name of an image: `ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2.0` is `set-labels`.
#[must_use]
pub fn short_name(image: &str) -> &str {
    split(image).0
}

/// Name and tag, without a digest.
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
    split(image).1.map_or(Some(Version::Documented), |tag| version_of_tag(tag, families))
}

/// The newest family with a version in a range such as `~0.2`, `0.1.3 - 0.2` or `0.1 || 0.4`.
pub(super) fn newest(range: &str, families: &[&'static str]) -> Option<Version> {
    family_in(range, families).map(Version::Family)
}

fn family_in(range: &str, families: &[&'static str]) -> Option<&'static str> {
    let range = Versions::parse(range)?;
    let has = |family: &&&'static str| {
        (0..100).any(|patch| {
            let version = semver::Version::parse(&format!("{}.{patch}", family.trim_start_matches('v')));
            version.is_ok_and(|version| range.holds(&version))
        })
    };
    families.iter().rev().find(has).copied()
}

/// The tag that a function's `tag` leads to: of a range, the newest family in it.
pub(super) fn chosen<'t>(tag: &'t str, families: &[&'static str]) -> &'t str {
    match version_of_tag(tag, families) {
        Some(_) => tag,
        None => family_in(tag, families).unwrap_or(tag),
    }
}

/// The version that a tag means; `None` when it was never published.
pub(super) fn version_of_tag(tag: &str, families: &[&'static str]) -> Option<Version> {
    if MOVING.contains(&tag) {
        return Some(Version::Documented);
    }
    // `v0` is published too: the newest of all.
    let newest = families.last().filter(|family| family.split('.').next() == Some(tag));
    if let Some(family) = newest {
        return Some(Version::Family(family));
    }
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
    fn a_digest_pins_unless_a_tag_is_given() {
        assert!(is_pinned("f@sha256:01", None) && is_pinned("gcr.io/kpt-fn/f:v0.1@sha256:01", None));
        assert!(!is_pinned("f:v0.1", None) && !is_pinned("f@sha256:01", Some("v0.1")));
    }

    #[test]
    fn whole_names_say_registry_and_version() {
        let table = [
            ("set-labels", None, "ghcr.io/kptdev/krm-functions-catalog/set-labels:latest"),
            ("set-labels:v0.2", None, "ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2"),
            ("set-labels:v0.2", Some("v0.1"), "ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.1"),
            ("localhost:5000/f", None, "localhost:5000/f:latest"),
            ("localhost:5000/f@sha256:01", None, "localhost:5000/f@sha256:01"),
        ];
        for (image, tag, expected) in table {
            assert_eq!(resolved(image, tag, PREFIX), expected);
        }
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
            ("f:v0", Some(Version::Family("v0.2"))),
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

    #[test]
    fn ranges_mean_the_newest_family_in_them() {
        let families = ["v0.1", "v0.2", "v0.4"];
        let table = [
            ("~0.2", Some("v0.2")),
            ("~v0.1.3", Some("v0.1")),
            (">=0.1 <0.3", Some("v0.2")),
            (">= 0.1, < 0.2", Some("v0.1")),
            ("0.1 || 0.4", Some("v0.4")),
            ("*", Some("v0.4")),
            ("0.1.1 - 0.2.3", Some("v0.2")),
            ("!=0.4", Some("v0.2")),
            ("0.4.1", Some("v0.4")),
            ("0.2.x", Some("v0.2")),
            ("~0.3", None),
            (">=1", None),
            ("newest", None),
            ("", None),
        ];
        for (range, expected) in table {
            assert_eq!(newest(range, &families), expected.map(Version::Family), "{range}");
        }
    }
}
