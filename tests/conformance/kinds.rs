//! The kinds that programs are about.

use serde::Deserialize;
use serde_json::Value;

use crate::dice::Dice;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kinds {
    /// Parts of `metadata` of any kind.
    pub(crate) metadata: Vec<Value>,
    kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kind {
    /// `api/v1`, `apis/GROUP/VERSION`.
    pub(crate) api: String,
    pub(crate) plural: String,
    #[serde(rename = "kind")]
    pub(crate) name: String,
    weight: usize,
    /// Without a namespace.
    #[serde(default)]
    pub(crate) cluster: bool,
    /// The only name that its objects have.
    #[serde(default)]
    pub(crate) object_name: Option<String>,
    /// Never really deleted: it takes a controller.
    #[serde(default)]
    pub(crate) keep: bool,
    #[serde(default)]
    pub(crate) scale: bool,
    /// Values of status; none when the kind has no such part.
    #[serde(default)]
    pub(crate) status: Vec<Value>,
    /// An object that is valid, without metadata.
    pub(crate) base: Value,
    /// What may be laid over it, valid or not.
    pub(crate) parts: Vec<Value>,
}

impl Kind {
    pub(crate) fn api_version(&self) -> &str {
        self.api.split_once('/').unwrap().1
    }
}

impl Kinds {
    pub(crate) fn read() -> Self {
        let mut kinds: Self = serde_json::from_str(include_str!("kinds.json")).unwrap();
        // For looking into one kind: LOGGIA_KIND=Deployment.
        if let Ok(only) = std::env::var("LOGGIA_KIND") {
            kinds.kinds.retain(|kind| kind.name == only);
        }
        kinds
    }

    pub(crate) fn weighted(&self, draw: &mut Dice) -> &Kind {
        let mut at = draw.below(self.kinds.iter().map(|kind| kind.weight).sum());
        for kind in &self.kinds {
            if at < kind.weight {
                return kind;
            }
            at -= kind.weight;
        }
        unreachable!("at is below the sum of the weights")
    }
}
