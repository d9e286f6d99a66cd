//! What integration tests share: real API servers, git repositories made from the examples, a person's hands.

pub(crate) mod kube;
pub(crate) mod person;
