//! Where history and holds are kept.

mod configmap;

pub use configmap::ConfigMapState;
