//! Random programs of requests, made from a seed.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::dice::Dice;
use crate::kinds::{Kind, Kinds};

/// What a request carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Body {
    Nothing,
    Given(Value),
    /// The object that a server last showed at a path (the first value when it has not), with a merge patch.
    Edited(String, Value, Value),
}

/// One request of a program, still without what only an answer can tell: `NS` is the program's namespace, `$RV`, `$UID`
/// and `$CONTINUE` are what the server last said of the object or list, `$LIST` is the revision of its last list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) method: String,
    /// Of the object or the collection, without part and query.
    pub(crate) path: String,
    /// `/status`, `/scale` or nothing.
    pub(crate) part: String,
    pub(crate) query: Vec<String>,
    pub(crate) body: Body,
}

impl Step {
    /// Whether it changes nothing.
    pub(crate) fn is_dry(&self) -> bool {
        self.query.iter().any(|parameter| parameter.starts_with("dryRun"))
    }

    pub(crate) fn is_watch(&self) -> bool {
        self.query.iter().any(|parameter| parameter == "watch=true")
    }
}

/// The program of a seed.
pub(crate) fn program(seed: u64, kinds: &Kinds) -> Vec<Step> {
    let mut draw = Dice::new(seed);
    let count = 1 + usize::from(draw.percent(25));
    let chosen: Vec<&Kind> = (0..count).map(|_| kinds.weighted(&mut draw)).collect();
    let mut steps: Vec<Step> = Vec::new();
    for kind in &chosen {
        let mut maker = Maker { draw: &mut draw, kind, kinds };
        steps.push(if maker.draw.percent(70) { maker.create() } else { maker.apply("") });
    }
    for _ in 0..5 + draw.below(9) {
        let kind = *draw.pick(&chosen);
        steps.push(Maker { draw: &mut draw, kind, kinds }.any());
    }
    let mut watched: Vec<&str> = Vec::new();
    for kind in chosen {
        // What controllers do about a CRD comes at its own pace.
        if kind.object_name.is_none() && !watched.contains(&kind.plural.as_str()) {
            watched.push(&kind.plural);
            steps.push(Maker { draw: &mut draw, kind, kinds }.watch());
        }
    }
    steps
}

struct Maker<'a> {
    draw: &'a mut Dice,
    kind: &'a Kind,
    kinds: &'a Kinds,
}

impl Maker<'_> {
    fn any(&mut self) -> Step {
        match self.draw.below(100) {
            0..10 => self.create(),
            10..24 => self.replace(),
            24..38 => self.merge(""),
            38..50 => self.json(),
            50..62 => self.strategic(),
            62..78 => self.apply(""),
            78..85 => self.status(),
            85..88 => self.scale(),
            88..92 => self.delete(),
            92..94 => Step {
                method: "GET".to_owned(),
                path: self.object(),
                part: String::new(),
                query: vec![],
                body: Body::Nothing,
            },
            _ => self.list(),
        }
    }

    fn name(&mut self) -> String {
        if let Some(name) = &self.kind.object_name {
            return name.clone();
        }
        let name = if self.draw.percent(80) { "a" } else { "b" };
        if self.kind.cluster { format!("NS-{name}") } else { name.to_owned() }
    }

    fn collection(&self) -> String {
        let Kind { api, plural, .. } = self.kind;
        if self.kind.cluster { format!("/{api}/{plural}") } else { format!("/{api}/namespaces/NS/{plural}") }
    }

    fn object(&mut self) -> String {
        format!("{}/{}", self.collection(), self.name())
    }

    /// Parameters of any write.
    fn query(&mut self) -> Vec<String> {
        let mut query = Vec::new();
        if self.draw.percent(80) {
            query.push(format!("fieldManager={}", self.draw.pick(&["one", "two", "three"])));
        }
        if self.draw.percent(8) {
            query.push("dryRun=All".to_owned());
        }
        match self.draw.below(100) {
            0..8 => query.push("fieldValidation=Strict".to_owned()),
            8..12 => query.push("fieldValidation=Ignore".to_owned()),
            12 => query.push("fieldValidation=Odd".to_owned()),
            13 => query.push("dryRun=Some".to_owned()),
            _ => {}
        }
        query
    }

    /// A part of an object: some of its fields, perhaps some of its metadata.
    fn part(&mut self) -> Value {
        let mut part = json!({});
        for _ in 0..=self.draw.below(2) {
            if !self.kind.parts.is_empty() && self.draw.percent(85) {
                json_patch::merge(&mut part, self.draw.pick(&self.kind.parts));
            }
        }
        if self.draw.percent(30) {
            let mut metadata = self.draw.pick(&self.kinds.metadata).clone();
            // Finalizers of a CRD stay when the controllers are done with it: at their own pace, too.
            if self.kind.object_name.is_some() {
                metadata.as_object_mut().unwrap().remove("finalizers");
            }
            overlay(&mut part, &json!({"metadata": metadata}));
        }
        part
    }

    fn typed(&mut self, mut object: Value, name: &str) -> Value {
        let api_version = self.kind.api_version();
        overlay(&mut object, &json!({"apiVersion": api_version, "kind": self.kind.name, "metadata": {"name": name}}));
        object
    }

    fn bare(&self) -> Value {
        json!({"apiVersion": self.kind.api_version(), "kind": self.kind.name, "metadata": {}})
    }

    fn create(&mut self) -> Step {
        let mut object = self.kind.base.clone();
        if self.draw.percent(60) {
            let part = self.part();
            overlay(&mut object, &part);
        }
        let name = self.name();
        let mut object = self.typed(object, &name);
        if self.draw.percent(5) {
            object["metadata"]["generateName"] = json!("made-");
            object["metadata"].as_object_mut().unwrap().remove("name");
        }
        Step {
            method: "POST".to_owned(),
            path: self.collection(),
            part: String::new(),
            query: self.query(),
            body: Body::Given(object),
        }
    }

    fn replace(&mut self) -> Step {
        let mut edit = self.part();
        match self.draw.below(100) {
            0..25 => overlay(&mut edit, &json!({"metadata": {"resourceVersion": null}})),
            25..32 => overlay(&mut edit, &json!({"metadata": {"resourceVersion": "1"}})),
            32..37 => overlay(&mut edit, &json!({"metadata": {"managedFields": null}})),
            37..40 => overlay(&mut edit, &json!({"metadata": {"managedFields": []}})),
            40..42 => overlay(&mut edit, &json!({"metadata": {"uid": "wrong"}})),
            42..44 => overlay(&mut edit, &json!({"metadata": {"name": "other"}})),
            _ => {}
        }
        let path = self.object();
        Step {
            method: "PUT".to_owned(),
            path: path.clone(),
            part: String::new(),
            query: self.query(),
            body: Body::Edited(path, self.bare(), edit),
        }
    }

    fn patch(&mut self, patch: &'static str, part: &'static str, body: Value) -> Step {
        let mut query = vec![format!("patch={patch}")];
        query.extend(self.query());
        Step { method: "PATCH".to_owned(), path: self.object(), part: part.to_owned(), query, body: Body::Given(body) }
    }

    fn merge(&mut self, part: &'static str) -> Step {
        let mut body = self.part();
        if self.draw.percent(20) {
            forget_one(&mut body, self.draw);
        }
        self.patch("merge", part, body)
    }

    fn strategic(&mut self) -> Step {
        let mut body = self.part();
        match self.draw.below(100) {
            0..12 => forget_one(&mut body, self.draw),
            12..40 => direct(&mut body, self.draw),
            _ => {}
        }
        self.patch("strategic", "", body)
    }

    fn json(&mut self) -> Step {
        let mut operations = Vec::new();
        for _ in 0..=self.draw.below(2) {
            let part = self.part();
            let (path, value) = place(&part, self.draw);
            operations.push(match self.draw.below(100) {
                0..40 => json!({"op": "add", "path": path, "value": value}),
                40..65 => json!({"op": "replace", "path": path, "value": value}),
                65..85 => json!({"op": "remove", "path": path}),
                85..95 => json!({"op": "test", "path": path, "value": value}),
                _ => json!({"op": "copy", "from": path, "path": "/metadata/annotations"}),
            });
        }
        self.patch("json", "", json!(operations))
    }

    fn apply(&mut self, part: &'static str) -> Step {
        // The real server would give a pod without a service account none: it runs without the admission of these.
        let is_whole = self.draw.percent(60) || self.kind.name == "Pod";
        let mut object = if is_whole { self.kind.base.clone() } else { json!({}) };
        if self.draw.percent(70) {
            let part = self.part();
            overlay(&mut object, &part);
        }
        let path = self.object();
        let name = path.rsplit('/').next().unwrap().to_owned();
        let body = Body::Given(self.typed(object, &name));
        let mut query = vec!["patch=apply".to_owned()];
        query.extend(self.query());
        if self.draw.percent(35) {
            query.push("force=true".to_owned());
        }
        Step { method: "PATCH".to_owned(), path, part: part.to_owned(), query, body }
    }

    fn status(&mut self) -> Step {
        if self.kind.status.is_empty() {
            return self.merge("");
        }
        let mut body = json!({"status": self.draw.pick(&self.kind.status)});
        if self.draw.percent(20) {
            let part = self.part();
            overlay(&mut body, &part);
        }
        // An apply to the status of a service makes one in the real server.
        let ways = if self.kind.name == "Service" { 3 } else { 4 };
        match self.draw.below(ways) {
            0 => self.patch("merge", "/status", body),
            1 => self.patch("strategic", "/status", body),
            2 => {
                let path = self.object();
                let query = self.query();
                Step {
                    method: "PUT".to_owned(),
                    path: path.clone(),
                    part: "/status".to_owned(),
                    query,
                    body: Body::Edited(path, self.bare(), body),
                }
            }
            _ => {
                let path = self.object();
                let name = path.rsplit('/').next().unwrap().to_owned();
                let body = Body::Given(self.typed(body, &name));
                let mut query = vec!["patch=apply".to_owned()];
                query.extend(self.query());
                Step { method: "PATCH".to_owned(), path, part: "/status".to_owned(), query, body }
            }
        }
    }

    fn scale(&mut self) -> Step {
        if !self.kind.scale {
            return self.merge("");
        }
        let replicas = *self.draw.pick(&[0, 2, 7, -1]);
        let path = self.object();
        let name = path.rsplit('/').next().unwrap().to_owned();
        match self.draw.below(4) {
            0 => Step { method: "GET".to_owned(), path, part: "/scale".to_owned(), query: vec![], body: Body::Nothing },
            1 => {
                let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": {"name": name, "namespace": "NS"}, "spec": {"replicas": replicas}});
                Step {
                    method: "PUT".to_owned(),
                    path,
                    part: "/scale".to_owned(),
                    query: self.query(),
                    body: Body::Given(scale),
                }
            }
            _ => self.patch("merge", "/scale", json!({"spec": {"replicas": replicas}})),
        }
    }

    fn delete(&mut self) -> Step {
        let (mut query, mut body) = (Vec::new(), Body::Nothing);
        match self.draw.below(100) {
            0..15 => query.push("dryRun=All".to_owned()),
            15..25 => body = Body::Given(json!({"preconditions": {"uid": "$UID"}})),
            25..35 => body = Body::Given(json!({"preconditions": {"resourceVersion": "$RV"}})),
            35..42 => body = Body::Given(json!({"preconditions": {"uid": "wrong"}})),
            42..50 => body = Body::Given(json!({"preconditions": {"resourceVersion": "1"}})),
            50..58 => {
                let policy = *self.draw.pick(&["Background", "Foreground", "Orphan"]);
                body = Body::Given(json!({"propagationPolicy": policy}));
            }
            58..66 => {
                let policy = *self.draw.pick(&["Background", "Foreground", "Orphan", "Odd"]);
                query.push(format!("propagationPolicy={policy}"));
            }
            66..68 => query.push("gracePeriodSeconds=0".to_owned()),
            _ => {}
        }
        if self.kind.keep {
            (query, body) = (vec!["dryRun=All".to_owned()], Body::Nothing);
        }
        let is_all = body_is_nothing(&body) && !self.kind.cluster && self.draw.percent(20);
        let path = if is_all { self.collection() } else { self.object() };
        if is_all {
            query.push(format!("labelSelector={}", self.draw.pick(&["app%3Dx", "tier", "%21app"])));
        }
        Step { method: "DELETE".to_owned(), path, part: String::new(), query, body }
    }

    /// Selects one object of the program among those of all programs.
    fn own(&self) -> String {
        format!("fieldSelector=metadata.name%3D{}", self.kind.object_name.as_deref().unwrap_or("NS-a"))
    }

    /// Everything that happened to a kind since the start of the program.
    fn watch(&mut self) -> Step {
        let mut query =
            vec!["watch=true".to_owned(), "resourceVersion=$START".to_owned(), "timeoutSeconds=9".to_owned()];
        match self.draw.below(10) {
            0..3 => query.push(format!("labelSelector={}", self.draw.pick(&["app", "app%3Dx", "%21tier"]))),
            3 if !self.kind.cluster => query.push("fieldSelector=metadata.name%3Da".to_owned()),
            _ => {}
        }
        if self.kind.cluster {
            query.push(self.own());
        }
        Step { method: "GET".to_owned(), path: self.collection(), part: String::new(), query, body: Body::Nothing }
    }

    /// Parameters of a list about revisions, also such as do not go together.
    fn revisions(&mut self, query: &mut Vec<String>) {
        if self.draw.percent(85) {
            query.push(format!("resourceVersion={}", self.draw.pick(&["$LIST", "$LIST", "0", "1"])));
        }
        if self.draw.percent(70) {
            query.push(format!("resourceVersionMatch={}", self.draw.pick(&["Exact", "Exact", "NotOlderThan", "Odd"])));
        }
        match self.draw.below(10) {
            0..4 => query.push("limit=1".to_owned()),
            4 => query.extend(["limit=1".to_owned(), "continue=$CONTINUE".to_owned()]),
            _ => {}
        }
    }

    fn list(&mut self) -> Step {
        let mut query = Vec::new();
        if self.kind.cluster || self.draw.percent(50) {
            let selectors =
                ["app", "%21app", "app%3Dx", "app+in+%28x%2Cy%29", "tier+notin+%28db%29", "app%21%3Dx", "a+b", "x%3E1"];
            query.push(format!("labelSelector={}", self.draw.pick(&selectors)));
        }
        match self.draw.below(100) {
            0..25 => query.push("limit=1".to_owned()),
            25..35 => query.extend(["limit=1".to_owned(), "continue=$CONTINUE".to_owned()]),
            35..45 => query.push("fieldSelector=metadata.name%3Da".to_owned()),
            45..48 => query.push("fieldSelector=spec.odd%3Da".to_owned()),
            48..52 => query.push("resourceVersion=0".to_owned()),
            52..80 => self.revisions(&mut query),
            _ => {}
        }
        if self.kind.cluster {
            query.push(self.own());
        }
        Step { method: "GET".to_owned(), path: self.collection(), part: String::new(), query, body: Body::Nothing }
    }
}

const fn body_is_nothing(body: &Body) -> bool {
    matches!(body, Body::Nothing)
}

/// Lays one value over another: maps are merged, everything else (null, too) is replaced.
fn overlay(value: &mut Value, over: &Value) {
    match (value, over) {
        (Value::Object(fields), Value::Object(over)) => {
            for (name, over) in over {
                overlay(fields.entry(name.as_str()).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over.clone(),
    }
}

/// Sets one field somewhere to null.
fn forget_one(value: &mut Value, draw: &mut Dice) {
    let Some(fields) = value.as_object_mut().filter(|fields| !fields.is_empty()) else { return };
    let name = draw.pick(&fields.keys().cloned().collect::<Vec<_>>()).clone();
    let below = fields.get_mut(&name).unwrap();
    // To the real server a frozen map that became an empty one is another than none at all.
    let is_map = matches!(name.as_str(), "labels" | "matchLabels" | "binaryData");
    if !is_map && below.as_object().is_some_and(|fields| !fields.is_empty()) && (name == "spec" || draw.percent(70)) {
        forget_one(below, draw);
    } else if name != "metadata" {
        *below = Value::Null;
    }
}

/// Puts a directive of strategic merge patches somewhere below the spec or the metadata.
fn direct(value: &mut Value, draw: &mut Dice) {
    let Some(fields) = value.as_object_mut() else { return };
    for name in fields.keys().cloned().collect::<Vec<_>>() {
        match fields.get_mut(&name).unwrap() {
            Value::Array(_) if ["containers", "initContainers", "env", "volumes"].contains(&name.as_str()) => {
                direct_list(&name, fields, draw);
                return;
            }
            Value::Object(below) if name == "labels" || name == "annotations" || name == "data" => {
                below.insert("$patch".to_owned(), json!("replace"));
                return;
            }
            below => direct(below, draw),
        }
    }
}

fn direct_list(name: &str, fields: &mut Map<String, Value>, draw: &mut Dice) {
    let items = fields[name].as_array_mut().unwrap();
    match draw.below(3) {
        0 => items.push(json!({"$patch": "replace"})),
        1 => items.push(json!({"name": "b", "$patch": "delete"})),
        _ => {
            // The real server refuses an order that is not that of the patch, in words of its own.
            let mut order: Vec<Value> = items.iter().map(|item| json!({"name": item["name"]})).collect();
            order.insert(0, json!({"name": "z"}));
            fields.insert(format!("$setElementOrder/{name}"), json!(order));
        }
    }
}

/// A place in a part, as a JSON pointer, and what is there.
fn place(part: &Value, draw: &mut Dice) -> (String, Value) {
    let (mut path, mut here) = (String::new(), part);
    while let Some(fields) = here.as_object().filter(|fields| !fields.is_empty()) {
        let names: Vec<&String> = fields.keys().collect();
        let name = *draw.pick(&names);
        path = format!("{path}/{}", name.replace('/', "~1"));
        here = &fields[name.as_str()];
        if draw.percent(15) && path.matches('/').count() > 1 {
            break;
        }
    }
    if path.is_empty() { ("/metadata/labels".to_owned(), json!({"z": "z"})) } else { (path, here.clone()) }
}
