//! Instants as values. The domain receives them; only the `Clock` port and the API server's options produce them.

pub use jiff::{SignedDuration, Timestamp};

/// Renders an instant as Kubernetes writes `metav1.Time`: RFC 3339, UTC, whole seconds.
#[must_use]
pub fn rfc3339_seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Renders an instant as Kubernetes writes `metav1.MicroTime`: RFC 3339, UTC, six decimals.
#[must_use]
pub fn rfc3339_micros(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
