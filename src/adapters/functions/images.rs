//! Which images may be run.

use crate::domain::package::external::Failure;

/// Rules about images that are not built in, whoever runs them.
#[derive(Debug, Clone, Default)]
pub struct ImageRules {
    /// Registries, paths or names that an image must begin with, one of them; empty for any.
    pub allowed: Vec<String>,
    /// Whether an image must be given by its digest.
    pub digests: bool,
}

impl ImageRules {
    /// Whether an image may be run, given by its whole name.
    pub(super) fn judge(&self, image: &str) -> Result<(), Failure> {
        if !self.allowed.is_empty() && !self.allowed.iter().any(|prefix| begins(image, prefix)) {
            let message = format!("{image} is not run: only images of {} are (--allow-image)", self.allowed.join(", "));
            return Err(Failure::new("fn.image_denied", message));
        }
        if self.digests && !is_pinned(image) {
            let message = format!("{image} is not run: it has to be given by its digest, as IMAGE@sha256:HEX");
            return Err(Failure::new("fn.image_not_pinned", message));
        }
        Ok(())
    }
}

/// Whether an image is a prefix, or goes on from it at the end of a name: `host/team` leads to `host/team/f`, not to
/// `host/teammates/f`. Behind a host, a colon begins a port, with which it is another registry.
fn begins(image: &str, prefix: &str) -> bool {
    let is_host = !prefix.contains('/');
    let ends = |rest: &str| {
        rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '@']) || (rest.starts_with(':') && !is_host)
    };
    !prefix.is_empty() && image.strip_prefix(prefix).is_some_and(ends)
}

fn is_pinned(image: &str) -> bool {
    let hex = image.rsplit_once("@sha256:").map_or("", |(_, hex)| hex);
    hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_end_where_names_do() {
        for (image, prefix, expected) in [
            ("r.example/team/f:v1", "r.example", true),
            ("r.example/team/f:v1", "r.example/", true),
            ("r.example/team/f:v1", "r.example/team", true),
            ("r.example/team/f:v1", "r.example/team/f", true),
            ("r.example/team/f:v1", "r.example/team/f:v1", true),
            ("r.example/team/f@sha256:0", "r.example/team/f", true),
            ("r.example/team/f:v1", "r.example/team/f:v", false),
            ("r.example/team/f:v1", "r.example/te", false),
            ("r.example.org/team/f:v1", "r.example", false),
            ("r.example:5000/f", "r.example/", false),
            ("r.example:5000/f", "r.example", false),
            ("r.example:5000/f", "r.example:5000", true),
            ("r.example/f", "", false),
        ] {
            assert_eq!(begins(image, prefix), expected, "{image} {prefix}");
        }
    }

    #[test]
    fn a_digest_is_whole() {
        let hex = "0123456789abcdef".repeat(4);
        assert!(is_pinned(&format!("f@sha256:{hex}")) && is_pinned(&format!("r/f:v1@sha256:{hex}")));
        for image in ["f", "f:v1", "f@sha256:0123", &format!("f@sha256:{}", hex.to_uppercase()), &format!("f:{hex}")] {
            assert!(!is_pinned(image), "{image}");
        }
    }
}
