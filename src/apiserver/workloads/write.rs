//! What a controller decides: writes, and when to look again.

use jiff::Timestamp;
use serde_json::Value;

/// One write of a controller. Creating what exists, deleting what is gone and writing over a newer version change
/// nothing: the controller looks again at what is there then.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Creates the object.
    Create(Value),
    /// Replaces the object, all but its status; holds only for the `resourceVersion` in it.
    Update(Value),
    /// Replaces the status and annotations; holds for the `uid` in it, whatever its version.
    Status(Value),
    /// Deletes the object with this `uid`, in the background or (`foreground`) after what it owns.
    Delete {
        /// The object as it was seen.
        object: Value,
        /// Whether what it owns goes first.
        foreground: bool,
    },
}

impl Write {
    /// Deletes in the background.
    #[must_use]
    pub fn delete(object: &Value) -> Self {
        Self::Delete { object: object.clone(), foreground: false }
    }

    /// The status write, unless the status is there already.
    #[must_use]
    pub fn status_of(object: &Value, status: Value) -> Option<Self> {
        let same = object.get("status") == Some(&status);
        (!same).then(|| Self::Status(super::parts::with_status(object, status)))
    }
}

/// The decision of one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Steps {
    /// What to write, in order.
    pub writes: Vec<Write>,
    /// When to look again though nothing changed; none when only a change matters.
    pub again: Option<Timestamp>,
}

impl From<Vec<Write>> for Steps {
    fn from(writes: Vec<Write>) -> Self {
        Self { writes, again: None }
    }
}
