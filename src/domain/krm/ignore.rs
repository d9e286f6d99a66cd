//! Fields that are left to others: declared once, never set back.

use serde_json::Value;

use super::jsonpath::{JsonPath, Place};
use super::managed::{self, Entry, ManagedFieldsError, Operation};
use super::merge::elements;
use super::object::Object;
use super::path::{Path, PathElement};
use super::predict::decoded_secret;
use super::schema::{ListKey, ListKind, Node, Schema, View};
use super::value::is_void;

/// Which fields of which objects are left to others. A part that is absent matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IgnoreRule {
    /// API group; the empty text is the core group.
    pub group: Option<String>,
    /// Kind.
    pub kind: Option<String>,
    /// Namespace.
    pub namespace: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// These fields and what is below them; looked up in the configuration.
    pub fields: Vec<JsonPath>,
    /// Whatever these field managers own in the live object.
    pub managers: Vec<String>,
}

impl IgnoreRule {
    /// Whether the rule is about an object.
    #[must_use]
    pub fn matches(&self, object: &Object) -> bool {
        let id = object.id();
        [(&self.group, &id.group), (&self.kind, &id.kind), (&self.namespace, &id.namespace), (&self.name, &id.name)]
            .into_iter()
            .all(|(wanted, is)| wanted.as_ref().is_none_or(|wanted| wanted == is))
    }
}

/// The configuration as it can be applied without touching what is ignored: an ignored field that somebody else
/// applies, or that is not there, is left out; any other gets its live value, so that giving it up does not remove it.
/// Identity and the keys of list items are never ignored.
///
/// # Errors
/// [`ManagedFieldsError`] when the ownership records of the live object cannot be read.
pub fn spared(
    config: &Value,
    live: &Value,
    rules: &[&IgnoreRule],
    manager: &str,
    schema: &Schema,
) -> Result<Value, ManagedFieldsError> {
    let mut config = decoded_secret(config);
    let others: Vec<Entry> = managed::read(live)?
        .into_iter()
        .filter(|entry| entry.manager != manager || entry.operation != Operation::Apply)
        .collect();
    let chosen = Chosen {
        places: rules.iter().flat_map(|rule| &rule.fields).flat_map(|path| path.places(&config)).collect(),
        entries: others
            .iter()
            .filter(|entry| rules.iter().any(|rule| rule.managers.contains(&entry.manager)))
            .collect(),
    };
    let mut walk = Walk { places: Vec::new(), path: Path::default(), found: Vec::new() };
    walk.value(&config, Some(live), schema.node(), &[]);
    // From the end, so that positions stay right while items go.
    for leaf in walk.found.into_iter().rev().filter(|leaf| chosen.has(leaf)) {
        let applied_by_others = others
            .iter()
            .any(|entry| entry.operation == Operation::Apply && entry.fields.contains(leaf.path.elements()));
        set(&mut config, &leaf.places, leaf.live.filter(|_| !applied_by_others));
    }
    Ok(config)
}

/// What the rules choose in one object.
struct Chosen<'a> {
    places: Vec<Vec<Place>>,
    entries: Vec<&'a Entry>,
}

impl Chosen<'_> {
    fn has(&self, leaf: &Leaf) -> bool {
        self.places.iter().any(|place| leaf.places.starts_with(place))
            || self.entries.iter().any(|entry| entry.fields.contains(leaf.path.elements()))
    }
}

/// A field that is owned as a whole.
struct Leaf {
    places: Vec<Place>,
    path: Path,
    live: Option<Value>,
}

/// A walk over a configuration beside the live object.
struct Walk {
    places: Vec<Place>,
    path: Path,
    found: Vec<Leaf>,
}

impl Walk {
    /// Collects what is below; `keys` are fields that say which list item this is.
    fn value(&mut self, config: &Value, live: Option<&Value>, node: Node<'_>, keys: &[ListKey]) {
        match node.view(config) {
            View::Map(fields) if !is_void(config) => {
                for (name, value) in config.as_object().into_iter().flatten() {
                    if !self.is_identity(name) && !keys.iter().any(|key| key.name == *name) {
                        self.down(Place::Field(name.clone()), PathElement::field(name));
                        self.value(value, live.and_then(|live| live.get(name)), fields.get(name), &[]);
                        self.up();
                    }
                }
            }
            View::List(list) if !is_void(config) => {
                let keys = if let ListKind::Keyed(keys) = &list.kind { keys.as_slice() } else { &[] };
                let there = elements(list, live);
                for (index, (element, item)) in elements(list, Some(config)).into_iter().enumerate() {
                    let live = there.iter().find(|(other, _)| *other == element).map(|(_, item)| *item);
                    self.down(Place::Index(index), element);
                    self.value(item, live, node.at(&list.element), keys);
                    self.up();
                }
            }
            _ => self.found.push(Leaf { places: self.places.clone(), path: self.path.clone(), live: live.cloned() }),
        }
    }

    fn down(&mut self, place: Place, element: PathElement) {
        self.places.push(place);
        self.path.push(element);
    }

    fn up(&mut self) {
        self.path.pop();
        self.places.pop();
    }

    /// What says which object it is.
    fn is_identity(&self, name: &str) -> bool {
        match self.places.as_slice() {
            [] => matches!(name, "apiVersion" | "kind"),
            [Place::Field(parent)] => parent == "metadata" && matches!(name, "name" | "namespace"),
            _ => false,
        }
    }
}

/// Puts a value at a place that exists, or takes away what is there.
fn set(root: &mut Value, places: &[Place], value: Option<Value>) {
    let Some((last, above)) = places.split_last() else { return };
    let parent = above.iter().try_fold(root, |value, place| match place {
        Place::Field(name) => value.get_mut(name),
        Place::Index(index) => value.get_mut(index),
    });
    match (parent, last, value) {
        (Some(Value::Object(fields)), Place::Field(name), Some(value)) => drop(fields.insert(name.clone(), value)),
        (Some(Value::Object(fields)), Place::Field(name), None) => drop(fields.remove(name)),
        (Some(Value::Array(items)), Place::Index(index), Some(value)) => {
            if let Some(item) = items.get_mut(*index) {
                *item = value;
            }
        }
        (Some(Value::Array(items)), Place::Index(index), None) if *index < items.len() => drop(items.remove(*index)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::krm::{ApplyOptions, Gvk, Schemas, apply, predict, update};
    use crate::domain::time::Timestamp;

    const US: &str = "loggia";

    fn config() -> Value {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "d"}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [
                    {"name": "side", "image": "side:1"},
                    {"name": "web", "image": "web:1", "args": ["--a", "--b"], "resources": {"limits": {"cpu": "1"}}}]}}}})
    }

    fn schema(schemas: &Schemas) -> &Schema {
        schemas.lookup(&Gvk::new("apps", "v1", "Deployment")).0
    }

    fn options(manager: &str) -> ApplyOptions<'_> {
        ApplyOptions { manager, force: true, subresource: "", now: Timestamp::UNIX_EPOCH, reset: &[], blank: None }
    }

    fn rule(fields: &[&str], managers: &[&str]) -> IgnoreRule {
        IgnoreRule {
            fields: fields.iter().map(|path| JsonPath::parse_any(path).unwrap()).collect(),
            managers: managers.iter().map(|manager| (*manager).to_owned()).collect(),
            ..IgnoreRule::default()
        }
    }

    /// Our configuration applied, then changed by `change` with an update of `manager`.
    fn changed_by(manager: &str, change: impl FnOnce(&mut Value)) -> Value {
        let schemas = Schemas::builtin();
        let live = apply(None, &config(), &options(US), schema(&schemas)).unwrap();
        let mut new = live.clone();
        change(&mut new);
        update(Some(&live), &new, &options(manager), schema(&schemas))
    }

    /// Which fields applying the spared configuration changes.
    fn left(config: &Value, live: &Value, rules: &[IgnoreRule]) -> Vec<String> {
        let schemas = Schemas::builtin();
        let rules: Vec<&IgnoreRule> = rules.iter().collect();
        let config = spared(config, live, &rules, US, schema(&schemas)).unwrap();
        let predicted = predict(Some(live), &config, US, &schemas).unwrap();
        let changed: Vec<String> = predicted.changes.iter().map(|change| change.path.to_string()).collect();
        for conflict in &predicted.conflicts {
            assert!(changed.contains(&conflict.field.to_string()), "{conflict:?}");
        }
        changed
    }

    #[test]
    fn a_field_that_somebody_updates_is_left_and_stays_when_something_else_changes() {
        let live = changed_by("autoscaler", |live| live["spec"]["replicas"] = json!(7));
        assert_eq!(left(&config(), &live, &[rule(&["/spec/minReadySeconds"], &[])]), [".spec.replicas"]);
        for rule in [rule(&["/spec/replicas"], &[]), rule(&[".spec.replicas"], &[]), rule(&[], &["autoscaler"])] {
            assert!(left(&config(), &live, std::slice::from_ref(&rule)).is_empty(), "{rule:?}");
            let mut wanted = config();
            wanted["spec"]["template"]["spec"]["containers"][1]["image"] = json!("web:2");
            let changed = left(&wanted, &live, &[rule]);
            assert_eq!(changed, [r#".spec.template.spec.containers[name="web"].image"#]);
        }
    }

    #[test]
    fn what_another_applier_has_is_left_to_it() {
        let schemas = Schemas::builtin();
        let theirs = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "d"},
            "spec": {"replicas": 9}});
        let live = apply(None, &config(), &options(US), schema(&schemas)).unwrap();
        let live = apply(Some(&live), &theirs, &options("them"), schema(&schemas)).unwrap();
        let rule = rule(&["/spec/replicas"], &[]);
        let ours = spared(&config(), &live, &[&rule], US, schema(&schemas)).unwrap();
        assert!(ours["spec"].get("replicas").is_none(), "{ours}");
        assert!(left(&config(), &live, &[rule]).is_empty());
    }

    #[test]
    fn items_are_met_by_their_keys_and_keep_them() {
        let live = changed_by("injector", |live| {
            let containers = live["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap();
            containers[1]["args"] = json!(["--c"]);
            containers[1]["resources"]["limits"]["cpu"] = json!("2");
            containers[0]["image"] = json!("side:9");
            containers.insert(0, json!({"name": "proxy", "image": "proxy:1"}));
        });
        let all = [
            r#".spec.template.spec.containers[name="side"].image"#,
            r#".spec.template.spec.containers[name="web"].args"#,
            r#".spec.template.spec.containers[name="web"].resources.limits.cpu"#,
        ];
        assert_eq!(left(&config(), &live, &[]), all);
        let web = rule(&[r#".spec.template.spec.containers[?(@.name=="web")]"#], &[]);
        assert_eq!(left(&config(), &live, &[web]), all[..1]);
        assert_eq!(left(&config(), &live, &[rule(&["/spec/template/spec/containers/0/image"], &[])]), all[1..]);
        assert!(left(&config(), &live, &[rule(&[".spec"], &[])]).is_empty());
        assert!(left(&config(), &live, &[rule(&[], &["injector"])]).is_empty());
    }

    #[test]
    fn what_was_taken_away_is_not_put_back_and_identity_stays() {
        let live = changed_by("someone", |live| drop(live["spec"].as_object_mut().unwrap().remove("replicas")));
        assert!(left(&config(), &live, &[rule(&["/spec/replicas"], &[])]).is_empty());
        let schemas = Schemas::builtin();
        let everything = rule(&["."], &[]);
        let spared = spared(&config(), &json!({}), &[&everything], US, schema(&schemas)).unwrap();
        assert_eq!(spared["metadata"], json!({"name": "web", "namespace": "d"}));
        assert_eq!((&spared["kind"], &spared["apiVersion"]), (&json!("Deployment"), &json!("apps/v1")));
        assert_eq!(spared["spec"]["template"]["spec"]["containers"][0]["name"], "side");
    }

    #[test]
    fn rules_are_about_objects_that_match() {
        let object = Object::new(config()).unwrap();
        let with = |change: fn(&mut IgnoreRule)| {
            let mut rule = IgnoreRule::default();
            change(&mut rule);
            rule.matches(&object)
        };
        assert!(with(|_| {}) && with(|rule| rule.kind = Some("Deployment".to_owned())));
        assert!(with(|rule| rule.group = Some("apps".to_owned())) && !with(|rule| rule.group = Some(String::new())));
        assert!(
            !with(|rule| rule.name = Some("other".to_owned())) && !with(|rule| rule.namespace = Some("x".to_owned()))
        );
    }
}
