//! What integration tests share: API servers, git repositories made from the examples, a person's hands.

pub(crate) mod embedded;
pub(crate) mod git;
pub(crate) mod git_server;
pub(crate) mod kube;
pub(crate) mod person;
pub(crate) mod servers;
