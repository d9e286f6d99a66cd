//! Writes of controllers, under the rules that hold for everybody.

use std::sync::Arc;

use serde_json::Value;

use super::parts::uid;
use super::write::Write;
use crate::apiserver::core::{self, Core};
use crate::apiserver::delete::{DeleteOptions, Propagation};
use crate::apiserver::status::ApiError;

/// Writes for one controller, under its field manager.
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    identity: core::Writer,
}

impl Writer {
    pub(crate) fn new(core: Arc<Core>, manager: &str) -> Self {
        Self { core, identity: core::Writer::named(manager) }
    }

    /// Carries a write out.
    ///
    /// # Errors
    /// What the server answers. A write that lost a race is refused, and what it lost to is on its way as a change.
    pub(crate) fn write(&self, write: Write) -> Result<(), ApiError> {
        match write {
            Write::Create(object) => self.core.create(object, &self.identity).map(drop),
            Write::Update(object) => self.core.update(&object, &self.identity).map(drop),
            Write::Status(object) => self.core.update_status(&without_revision(object), &self.identity).map(drop),
            Write::Delete { object, foreground } => {
                let propagation = foreground.then_some(Propagation::Foreground);
                let uid = Some(uid(&object).to_owned());
                let options = DeleteOptions { uid, propagation, ..DeleteOptions::default() };
                self.core.delete_object(&object, &options).map(drop)
            }
        }
    }
}

/// A status holds for whatever revision the object is at.
fn without_revision(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    object
}
