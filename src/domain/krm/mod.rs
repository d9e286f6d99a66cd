//! KRM objects: read, write, compare and merge them as the API server does.

pub mod apply;
pub mod base64;
pub mod cel;
pub mod defaults;
pub mod diff;
pub mod document;
mod duration;
pub mod fieldset;
pub mod ignore;
pub mod jsonpath;
pub mod managed;
pub mod merge;
pub mod normal;
pub mod object;
pub mod order;
pub mod patch;
pub mod path;
pub mod predict;
pub mod quantity;
pub mod schema;
pub mod validate;
pub mod value;

pub use apply::{ApplyError, ApplyOptions, Conflict, apply, update};
pub use diff::{Mask, Moved, ObjectDiff, mask_secrets, render};
pub use fieldset::FieldSet;
pub use ignore::{IgnoreRule, spared};
pub use jsonpath::{JsonPath, PathError};
pub use managed::{Operation, field_owners};
pub use object::{Gvk, Object, ObjectId};
pub use order::{Stage, apply_order, delete_order, stage};
pub use path::{Path, PathElement};
pub use predict::{Change, Predicted, changes, predict};
pub use quantity::Quantity;
pub use schema::{Grade, Schema, Schemas};
pub use validate::{Violation, validate};
