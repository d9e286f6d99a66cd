//! What the engine needs from the outside: small traits over plain data. Each trait states idempotency, ordering and
//! error classes; every implementation passes the same contract suite.

pub mod clock;
pub mod forge;
pub mod function;
pub mod git;
pub mod repositories;
pub mod revisions;
pub mod sign_in;
pub mod state;
