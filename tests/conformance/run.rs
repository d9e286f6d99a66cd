//! Running programs against both servers, and making failing ones small.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::judge::{blurred, differences};
use crate::programs::{Body, Step};
use crate::servers::{Answer, Embedded, Real, Request};

/// What a server said so far.
#[derive(Default)]
struct Said {
    objects: BTreeMap<String, Value>,
    /// The revision at which the program started.
    start: String,
    last_list: String,
    next_page: String,
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.pointer("/metadata")?.get(name)?.as_str()
}

impl Said {
    /// A step as a request in a namespace.
    fn request(&self, step: &Step, namespace: &str) -> Request {
        let known = |path: &str| self.objects.get(&path.replace("NS", namespace));
        let metadata = |name: &str| known(&step.path).and_then(|object| text(object, name));
        let fill = |text: String| {
            let text = text.replace("$RV", metadata("resourceVersion").unwrap_or("1"));
            let text = text.replace("$UID", metadata("uid").unwrap_or("none"));
            let text = text.replace("$START", &self.start).replace("$LIST", &self.last_list);
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
        Request { method: step.method.clone(), path, body: fill(body) }
    }

    fn hear(&mut self, step: &Step, namespace: &str, answer: &Answer) {
        let body = &answer.body;
        if let Some(next) = text(body, "continue") {
            self.next_page = next.replace('=', "%3D");
        }
        // A list at any revision is of a revision of the cache.
        let is_any = step.query.iter().any(|parameter| parameter == "resourceVersion=0");
        if answer.code < 300 && body.get("items").is_some() && !is_any {
            text(body, "resourceVersion").unwrap_or_default().clone_into(&mut self.last_list);
        }
        if answer.code >= 300 || step.is_dry() || step.part == "/scale" || body.get("items").is_some() {
            return;
        }
        let Some(name) = text(body, "name") else { return };
        let path = step.path.replace("NS", namespace);
        let path = if step.method == "POST" { format!("{path}/{name}") } else { path };
        self.objects.insert(path, body.clone());
    }
}

/// One of the two, for a program.
enum Server<'a> {
    Real(&'a Real),
    Ours(&'a Embedded),
}

impl Server<'_> {
    /// An answer; a watch is over after so many events, and perhaps one more.
    async fn ask(&self, step: &Step, request: &Request, events: usize) -> Answer {
        match (self, step.is_watch()) {
            (Self::Real(real), true) => real.watch(request, events).await,
            (Self::Real(real), false) => {
                let answer = real.ask(request).await;
                if step.path.contains("customresourcedefinitions") && answer.code < 300 && !step.is_dry() {
                    real.settle(request, &answer).await;
                }
                answer
            }
            (Self::Ours(ours), true) => ours.watch(request).await,
            (Self::Ours(ours), false) => ours.ask(request).await,
        }
    }
}

/// A program at work on one server, in a namespace of its own.
pub(crate) struct Play<'a> {
    server: Server<'a>,
    namespace: String,
    said: Said,
}

impl<'a> Play<'a> {
    pub(crate) async fn on_ours(ours: &'a Embedded, namespace: &str) -> Self {
        Self::begin(Server::Ours(ours), namespace).await
    }

    pub(crate) async fn on_real(real: &'a Real, namespace: &str) -> Self {
        Self::begin(Server::Real(real), namespace).await
    }

    async fn begin(server: Server<'a>, namespace: &str) -> Self {
        let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}).to_string();
        let create = Request { method: "POST".to_owned(), path: "/api/v1/namespaces".to_owned(), body };
        let made = match &server {
            Server::Real(real) => real.ask(&create).await,
            Server::Ours(ours) => ours.ask(&create).await,
        };
        assert_eq!(made.code, 201, "{create}\n{made:?}");
        let start = text(&made.body, "resourceVersion").unwrap().to_owned();
        let said = Said { last_list: start.clone(), start, ..Said::default() };
        Self { server, namespace: namespace.to_owned(), said }
    }

    async fn step(&mut self, step: &Step, events: usize) -> (Request, Answer) {
        let request = self.said.request(step, &self.namespace);
        let answer = self.server.ask(step, &request, events).await;
        self.said.hear(step, &self.namespace, &answer);
        (request, answer)
    }

    /// The next answer as it is recorded.
    pub(crate) async fn record(&mut self, step: &Step, events: usize) -> Value {
        let (request, answer) = self.step(step, events).await;
        let is_real = matches!(self.server, Server::Real(_));
        let text = blurred(&request, &answer, is_real).to_string().replace(&self.namespace, "NS");
        serde_json::from_str(&text).unwrap()
    }
}

fn count(answer: &Answer) -> usize {
    answer.body.as_array().map_or(0, Vec::len)
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
    /// Both servers with the custom kind that programs are about.
    pub(crate) async fn open(real: Real, ours: Embedded) -> Self {
        let thing = thing();
        assert_eq!((real.ask(&thing).await.code, ours.ask(&thing).await.code), (201, 201));
        // CRDs of the real server are served a moment later.
        tokio::time::sleep(Duration::from_secs(3)).await;
        // It begins to remember what happens to a kind with the first question about it.
        let list = Request {
            method: "GET".to_owned(),
            path: "/apis/test.loggia.dev/v1/things".to_owned(),
            body: String::new(),
        };
        while real.ask(&list).await.code != 200 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Self { real, ours, runs: 0 }
    }

    /// The name of a new namespace.
    pub(crate) fn namespace(&mut self) -> String {
        self.runs += 1;
        format!("run-{:05}", self.runs)
    }

    /// Runs a program in a new namespace up to its first difference.
    pub(crate) async fn run(&mut self, program: &[Step]) -> Option<Difference> {
        let namespace = self.namespace();
        let mut real = Play::on_real(&self.real, &namespace).await;
        let mut ours = Play::on_ours(&self.ours, &namespace).await;
        for (index, step) in program.iter().enumerate() {
            let (_, b) = ours.step(step, 0).await;
            let (request, a) = real.step(step, count(&b)).await;
            let lines = differences(&request, &a, &b);
            if !lines.is_empty() {
                return Some(Difference { step: index, request, lines });
            }
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

/// Declares the custom kind that programs are about.
pub(crate) fn thing() -> Request {
    Request {
        method: "POST".to_owned(),
        path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned(),
        body: include_str!("thing.json").to_owned(),
    }
}
