//! Running programs against both servers, and making failing ones small.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::judge::differences;
use crate::programs::{Body, Step};
use crate::servers::{Answer, Embedded, Real, Request};

/// What a server said so far.
#[derive(Default)]
struct Said {
    objects: BTreeMap<String, Value>,
    next_page: String,
}

impl Said {
    /// A step as a request in a namespace.
    fn request(&self, step: &Step, namespace: &str) -> Request {
        let known = |path: &str| self.objects.get(&path.replace("NS", namespace));
        let metadata = |name: &str| known(&step.path).and_then(|object| object["metadata"][name].as_str());
        let fill = |text: String| {
            let text = text.replace("$RV", metadata("resourceVersion").unwrap_or("1"));
            let text = text.replace("$UID", metadata("uid").unwrap_or("none"));
            text.replace("NS", namespace).replace("$CONTINUE", &self.next_page)
        };
        let body = match &step.body {
            Body::Nothing => String::new(),
            Body::Given(value) => value.to_string(),
            Body::Edited(path, untouched, edit) => {
                let mut object = known(path).cloned().unwrap_or_else(|| untouched.clone());
                json_patch::merge(&mut object, edit);
                object.to_string()
            }
        };
        let query = if step.query.is_empty() { String::new() } else { format!("?{}", step.query.join("&")) };
        let path = fill(format!("{}{}{query}", step.path, step.part));
        Request { method: step.method, path, body: fill(body) }
    }

    fn hear(&mut self, step: &Step, namespace: &str, answer: &Answer) {
        let body = &answer.body;
        if let Some(next) = body.pointer("/metadata/continue").and_then(Value::as_str) {
            self.next_page = next.replace('=', "%3D");
        }
        let dry = step.query.iter().any(|parameter| parameter.starts_with("dryRun"));
        if answer.code >= 300 || dry || step.part == "/scale" || body.get("items").is_some() {
            return;
        }
        let Some(name) = body.pointer("/metadata/name").and_then(Value::as_str) else { return };
        let path = step.path.replace("NS", namespace);
        let path = if step.method == "POST" { format!("{path}/{name}") } else { path };
        self.objects.insert(path, body.clone());
    }
}

/// The step of a program at which the servers differ, and how.
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) request: Request,
    pub(crate) lines: Vec<String>,
}

/// Both servers and a count of namespaces, so that every run has its own.
pub(crate) struct Court {
    pub(crate) real: Real,
    pub(crate) ours: Embedded,
    runs: u64,
}

impl Court {
    pub(crate) const fn new(real: Real, ours: Embedded) -> Self {
        Self { real, ours, runs: 0 }
    }

    /// Runs a program in a new namespace up to its first difference.
    pub(crate) async fn run(&mut self, program: &[Step]) -> Option<Difference> {
        self.runs += 1;
        let namespace = format!("run-{:05}", self.runs);
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string();
        let create = Request { method: "POST", path: "/api/v1/namespaces".to_owned(), body };
        let (a, b) = (self.real.ask(&create).await, self.ours.ask(&create).await);
        assert_eq!((a.code, b.code), (201, 201), "{create}\n{a:?}\n{b:?}");
        let (mut real, mut ours) = (Said::default(), Said::default());
        for (index, step) in program.iter().enumerate() {
            let request = real.request(step, &namespace);
            let a = self.real.ask(&request).await;
            let b = self.ours.ask(&ours.request(step, &namespace)).await;
            let lines = differences(&request, &a, &b);
            if !lines.is_empty() {
                return Some(Difference { step: index, request, lines });
            }
            real.hear(step, &namespace, &a);
            ours.hear(step, &namespace, &b);
        }
        None
    }

    /// Drops steps while the servers still differ.
    pub(crate) async fn shrink(&mut self, mut program: Vec<Step>, mut found: Difference) -> (Vec<Step>, Difference) {
        program.truncate(found.step + 1);
        let mut at = program.len();
        while at > 0 {
            at -= 1;
            let mut smaller = program.clone();
            smaller.remove(at);
            if let Some(difference) = self.run(&smaller).await {
                smaller.truncate(difference.step + 1);
                at = at.min(smaller.len());
                (program, found) = (smaller, difference);
            }
        }
        (program, found)
    }
}
