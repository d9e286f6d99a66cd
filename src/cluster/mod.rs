//! The one gateway to Kubernetes APIs.
