//! KRM objects: read, write, compare and merge them as the API server does.

pub mod fieldset;
pub mod merge;
pub mod normal;
pub mod object;
pub mod path;
pub mod quantity;
pub mod schema;
pub mod value;

pub use fieldset::FieldSet;
pub use object::{Gvk, Object, ObjectId};
pub use path::{Path, PathElement};
pub use quantity::Quantity;
pub use schema::{Grade, Schema, Schemas};
