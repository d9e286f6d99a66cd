//! KRM objects: read, write, compare and merge them as the API server does.

pub mod object;

pub use object::{Gvk, Object, ObjectId};
