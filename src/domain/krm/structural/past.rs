//! What a value was before an update: faults of what did not change are not told (KEP-4008).
//!
//! Source: `CorrelatedObject` of `k8s.io/apiserver` v0.36. A field is what the field of that name was, an item of a
//! list of type `map` what the item of its key was; items of other lists were nothing.

use serde_json::Value;

use super::schema_of;

/// A value beside what it was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Past<'a> {
    old: &'a Value,
    new: &'a Value,
    schema: &'a Value,
}

impl<'a> Past<'a> {
    /// A value that was something else, or the same; the schema says how their parts belong together.
    pub(super) const fn new(old: &'a Value, new: &'a Value, schema: &'a Value) -> Self {
        Self { old, new, schema }
    }

    /// What a field was; nothing when it is new or not declared.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        let schema = schema_of(self.schema, name).filter(|schema| schema.is_object())?;
        Some(Self { old: self.old.as_object()?.get(name)?, new: self.new.as_object()?.get(name)?, schema })
    }

    /// What an item was; nothing when it is new or its list has no keys.
    pub(super) fn item(self, index: usize) -> Option<Self> {
        let (old, new) = (self.old.as_array()?, self.new.as_array()?.get(index)?);
        let keys = self.keys()?;
        let is_it = |item: &&Value| keys.iter().filter_map(Value::as_str).all(|key| item.get(key) == new.get(key));
        Some(Self { old: old.iter().find(is_it)?, new, schema: self.schema.get("items")? })
    }

    fn keys(self) -> Option<&'a Vec<Value>> {
        self.schema.get("x-kubernetes-list-type").filter(|kind| **kind == "map")?;
        self.schema.get("x-kubernetes-list-map-keys")?.as_array()
    }

    /// Whether nothing changed, as far as it can be told: what no schema declares counts as changed.
    pub(super) fn is_unchanged(self) -> bool {
        match (self.old, self.new) {
            (Value::Array(old), Value::Array(new)) if self.keys().is_some() => {
                let stayed = |index| self.item(index).is_some_and(Self::is_unchanged);
                old.len() == new.len() && (0..new.len()).all(stayed)
            }
            (Value::Object(old), Value::Object(new)) => {
                let stayed = |name: &String| self.field(name).is_some_and(Self::is_unchanged);
                old.len() == new.len() && new.keys().all(stayed)
            }
            (old, new) => old == new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_with_keys_may_change_their_order_and_others_not() {
        let text = json!({"type": "string"});
        let item = json!({"type": "object", "properties": {"k": text, "v": text}});
        let keyed = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item});
        let plain = json!({"type": "array", "items": item});
        let (old, new) = (json!([{"k": "a", "v": "1"}, {"k": "b"}]), json!([{"k": "b"}, {"k": "a", "v": "1"}]));
        assert!(Past::new(&old, &new, &keyed).is_unchanged());
        assert!(!Past::new(&old, &new, &plain).is_unchanged());
        assert!(Past::new(&old, &old, &plain).is_unchanged());
        assert!(Past::new(&old, &new, &keyed).item(1).is_some_and(Past::is_unchanged));
        let unknown = json!([{"k": "a", "x": 1}]);
        assert!(!Past::new(&unknown, &unknown, &keyed).is_unchanged(), "nobody declared x");
    }
}
