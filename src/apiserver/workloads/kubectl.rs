//! The real kubectl against discovery, documents, tables, collection and workloads. A few lines of server stand between: they know no
//! admission and no selectors but a name, and are here only to put these parts on a socket.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;

use super::*;
use crate::apiserver::kinds::Kind;
use crate::apiserver::store::{ChangeKind, Key};
use crate::apiserver::table::{Columns, Header, Include, table};
use crate::apiserver::{discovery, gc, openapi};
use crate::domain::krm::{ApplyOptions, apply};

#[derive(Clone)]
struct Server {
    store: Store,
    kinds: Arc<Kinds>,
}

/// A path taken apart.
struct Place {
    kind: Arc<Kind>,
    namespace: Option<String>,
    name: Option<String>,
    subresource: String,
}

impl Place {
    fn key(&self) -> Key {
        Key::new(&self.kind.stored_as, self.namespace.as_deref().unwrap_or_default(), self.name.as_deref().unwrap())
    }
}

struct Request {
    method: Method,
    query: Vec<(String, String)>,
    accept: String,
    content: String,
    body: Bytes,
}

impl Request {
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn wants_table(&self) -> bool {
        self.accept.split(',').next().is_some_and(|first| first.contains("as=Table"))
    }
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn answer(status: StatusCode, value: &Value) -> Response {
    (status, [("content-type", "application/json")], value.to_string()).into_response()
}

fn failure(code: StatusCode, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": code.as_u16(),
    });
    answer(code, &status)
}

fn lost() -> Response {
    failure(StatusCode::NOT_FOUND, "NotFound", "the server could not find the requested resource")
}

fn pairs(uri: &Uri) -> Vec<(String, String)> {
    let decode = |text: &str| text.replace("%3D", "=").replace("%2F", "/").replace("%2C", ",");
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), decode(value))).collect()
}

async fn handle(State(server): State<Server>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let request =
        Request { method, query: pairs(&uri), accept: header("accept"), content: header("content-type"), body };
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    if let Some(document) = server.document(&parts, &request) {
        return document;
    }
    match server.place(&parts) {
        None => lost(),
        Some(place) => server.serve(&place, &request),
    }
}

impl Server {
    fn document(&self, parts: &[&str], request: &Request) -> Option<Response> {
        let form = discovery::Aggregated::accepted(&request.accept);
        let ok = |value: Option<Value>| value.map_or_else(lost, |value| answer(StatusCode::OK, &value));
        let aggregated = |core, form: discovery::Aggregated| {
            let body = discovery::aggregated(&self.kinds, core, form).to_string();
            ([("content-type", form.content_type())], body).into_response()
        };
        Some(match (parts, form) {
            (["api"], Some(form)) => aggregated(true, form),
            (["apis"], Some(form)) => aggregated(false, form),
            (["api"], None) => ok(Some(discovery::core_versions("127.0.0.1"))),
            (["apis"], None) => ok(Some(discovery::group_list(&self.kinds))),
            (["apis", group], _) => ok(discovery::group(&self.kinds, group)),
            (["api", version], _) => ok(discovery::resource_list(&self.kinds, "", version)),
            (["apis", group, version], _) => ok(discovery::resource_list(&self.kinds, group, version)),
            (["openapi", "v3"], _) => ok(Some(openapi::index(&self.kinds))),
            (["openapi", "v3", "api", version], _) => ok(openapi::document(&self.kinds, "", version)),
            (["openapi", "v3", "apis", group, version], _) => ok(openapi::document(&self.kinds, group, version)),
            (["openapi", "v2"], _) if openapi::accepts_json(&request.accept) => ok(Some(openapi::v2())),
            (["openapi", "v2"], _) => failure(StatusCode::NOT_ACCEPTABLE, "NotAcceptable", "only JSON is served"),
            (["version"], _) => ok(Some(
                json!({"major": "1", "minor": "36", "gitVersion": "v1.36.0", "gitCommit": "", "gitTreeState": "", "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}),
            )),
            _ => return None,
        })
    }

    fn place(&self, parts: &[&str]) -> Option<Place> {
        let (group, version, rest) = match parts {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some((*namespace).to_owned()), rest),
            rest => (None, rest),
        };
        let kind = Arc::clone(self.kinds.find(group, version, rest.first()?)?);
        let name = rest.get(1).map(|name| (*name).to_owned());
        Some(Place { kind, namespace, name, subresource: rest.get(2).copied().unwrap_or_default().to_owned() })
    }

    fn serve(&self, place: &Place, request: &Request) -> Response {
        match (&request.method, &place.name) {
            (&Method::GET, None) if request.query("sendInitialEvents").is_some() => {
                let message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
                failure(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            }
            (&Method::GET, None) if request.query("watch").is_some() => self.watch(place, request),
            (&Method::GET, None) => self.list(place, request),
            (&Method::GET, Some(_)) => self.store.get(&place.key()).map_or_else(
                || {
                    failure(
                        StatusCode::NOT_FOUND,
                        "NotFound",
                        &format!("{} \"{}\" not found", place.kind.resource(), place.key().name),
                    )
                },
                |object| shown(place, request, &[object.as_ref().clone()], None),
            ),
            (&Method::DELETE, Some(_)) => self.delete(place, request),
            (_, None) => self.put(
                &Place {
                    name: Some(name_of(&request.body)),
                    kind: Arc::clone(&place.kind),
                    namespace: place.namespace.clone(),
                    subresource: String::new(),
                },
                request,
            ),
            (_, Some(_)) => self.put(place, request),
        }
    }

    fn selected(&self, place: &Place, request: &Request) -> Vec<Value> {
        let wanted = request.query("fieldSelector").and_then(|text| text.strip_prefix("metadata.name="));
        let objects = self.store.list(&place.kind.stored_as, place.namespace.as_deref()).objects;
        let objects = objects.into_iter().filter(|o| wanted.is_none_or(|wanted| parts::name(o) == wanted));
        objects.map(|object| object.as_ref().clone()).collect()
    }

    fn list(&self, place: &Place, request: &Request) -> Response {
        let revision = self.store.revision().to_string();
        shown(place, request, &self.selected(place, request), Some(&revision))
    }

    fn watch(&self, place: &Place, request: &Request) -> Response {
        let from = request.query("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        let wanted =
            request.query("fieldSelector").and_then(|text| text.strip_prefix("metadata.name=")).map(str::to_owned);
        let changes = self.store.changes(Some(place.kind.stored_as.clone()), from);
        let columns = request.wants_table().then(|| Columns::of(&place.kind));
        let stream = futures::stream::unfold((changes, columns, true), move |(mut changes, columns, mut first)| {
            let wanted = wanted.clone();
            async move {
                let batch = changes.next().await.ok()?;
                let mut lines = String::new();
                for change in batch.iter().filter(|c| wanted.as_ref().is_none_or(|w| *w == c.key.name)) {
                    let kind = match change.kind {
                        ChangeKind::Added => "ADDED",
                        ChangeKind::Modified => "MODIFIED",
                        ChangeKind::Deleted => "DELETED",
                    };
                    let header = if first { Header::Shown } else { Header::Omitted };
                    let object = columns.as_ref().map_or_else(
                        || change.object.as_ref().clone(),
                        |columns| {
                            table(
                                columns,
                                [change.object.as_ref()],
                                &json!({"resourceVersion": change.revision.to_string()}),
                                header,
                                Include::Object,
                                now(),
                            )
                        },
                    );
                    first = false;
                    lines.push_str(&json!({"type": kind, "object": object}).to_string());
                    lines.push('\n');
                }
                Some((Ok::<_, std::convert::Infallible>(lines), (changes, columns, first)))
            }
        });
        ([("content-type", "application/json")], Body::from_stream(stream.boxed())).into_response()
    }

    fn delete(&self, place: &Place, request: &Request) -> Response {
        let Some(live) = self.store.get(&place.key()) else { return lost() };
        let options: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut view = View::default();
        view.insert(&place.key(), &live);
        let writer = Writer { store: self.store.clone(), kinds: Arc::clone(&self.kinds), manager: "kubectl" };
        let foreground = options["propagationPolicy"] == "Foreground";
        writer.write(Write::Delete { object: live.as_ref().clone(), foreground }, &view, now()).unwrap();
        answer(StatusCode::OK, &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}))
    }

    /// Creates, replaces, patches and scales.
    fn put(&self, place: &Place, request: &Request) -> Response {
        let live = self.store.get(&place.key());
        let sent = read(&request.body);
        let mut next = match (live.as_deref(), request.content.as_str()) {
            (Some(live), "application/apply-patch+yaml") => self.applied(place, Some(live), &sent),
            (None, "application/apply-patch+yaml") => self.applied(place, None, &sent),
            (Some(live), _) if place.subresource == "scale" => {
                let mut next = live.clone();
                next["spec"]["replicas"] = sent["spec"]["replicas"].clone();
                next
            }
            (Some(live), _) if request.method == Method::PATCH => {
                let mut next = live.clone();
                match serde_json::from_value::<json_patch::Patch>(sent.clone()) {
                    Ok(patch) => json_patch::patch(&mut next, &patch).unwrap(),
                    Err(_) => json_patch::merge(&mut next, &sent),
                }
                next
            }
            _ => sent,
        };
        if place.namespace.is_some() {
            next["metadata"]["namespace"] = json!(place.namespace);
        }
        if request.query("dryRun").is_some() {
            return answer(StatusCode::OK, &next);
        }
        let writer = Writer { store: self.store.clone(), kinds: Arc::clone(&self.kinds), manager: "kubectl" };
        let mut view = View::default();
        let write = match &live {
            Some(live) => {
                view.insert(&place.key(), live);
                next["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
                Write::Update(next)
            }
            None => Write::Create(next),
        };
        writer.write(write, &view, now()).unwrap();
        let stored = self.store.get(&place.key()).unwrap();
        if place.subresource == "scale" {
            return answer(
                StatusCode::OK,
                &json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": place.name}, "spec": {"replicas": stored["spec"]["replicas"]}}),
            );
        }
        answer(if live.is_some() { StatusCode::OK } else { StatusCode::CREATED }, &stored)
    }

    fn applied(&self, place: &Place, live: Option<&Value>, sent: &Value) -> Value {
        let options = ApplyOptions { manager: "kubectl", force: true, subresource: "", now: now(), reset: &[] };
        apply(live, sent, &options, self.kinds.merge_schema(&place.kind.gvk)).unwrap()
    }
}

fn read(bytes: &[u8]) -> Value {
    crate::domain::krm::document::read(bytes, &Default::default()).unwrap().remove(0).1
}

fn name_of(body: &[u8]) -> String {
    parts::name(&read(body)).to_owned()
}

/// An object, or a list when there is a revision, in the form that was asked for.
fn shown(place: &Place, request: &Request, objects: &[Value], revision: Option<&str>) -> Response {
    if request.wants_table() {
        let include = Include::parse(request.query("includeObject")).unwrap();
        let metadata = json!({"resourceVersion": revision});
        let table = table(&Columns::of(&place.kind), objects, &metadata, Header::Shown, include, now());
        return answer(StatusCode::OK, &table);
    }
    let (kind, api_version) = (place.kind.list_kind(), place.kind.gvk.api_version());
    match revision {
        None if place.subresource == "scale" => answer(
            StatusCode::OK,
            &json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": objects[0]["metadata"], "spec": {"replicas": objects[0]["spec"]["replicas"]}}),
        ),
        None => answer(StatusCode::OK, &objects[0]),
        Some(revision) => {
            let metadata = json!({"resourceVersion": revision});
            answer(
                StatusCode::OK,
                &json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": objects}),
            )
        }
    }
}

/// kubectl with a cache of its own.
struct Kubectl {
    program: PathBuf,
    server: String,
    home: tempfile::TempDir,
}

impl Kubectl {
    /// The kubectl to test with: `LOGGIA_KUBECTL`, those below `LOGGIA_KUBE_ASSETS`, or the one of the system.
    fn programs() -> Vec<PathBuf> {
        let named = std::env::var_os("LOGGIA_KUBECTL").map(PathBuf::from);
        let built = std::env::var_os("LOGGIA_KUBE_ASSETS").map(|dir| Path::new(&dir).join("kubectl"));
        let all = named.into_iter().chain(built).chain([PathBuf::from("/usr/bin/kubectl")]);
        all.filter(|path| path.exists()).collect()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(["--server", &self.server, "--request-timeout", "20s", "-n", "d"]).args(arguments);
        command.env_clear().env("HOME", self.home.path()).env("PATH", "/usr/bin:/bin");
        command.output().unwrap()
    }

    /// What it prints; it must succeed.
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{} {arguments:?}: {out}{err}", self.program.display());
        out.into_owned()
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

fn crd() -> Value {
    let columns =
        json!([{"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"}]);
    let schema = json!({
        "type": "object", "description": "A thing of ours.",
        "properties": {"spec": {"type": "object", "description": "What is wished.", "properties": {"size": {"type": "integer", "description": "How big."}}}},
    });
    let version = json!({
        "name": "v1", "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    let names = json!({"kind": "Thing", "plural": "things", "shortNames": ["th"]});
    json!({"metadata": {"name": "things.ex.io"}, "spec": {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": [version]}})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_everything_where_it_expects_it() {
    let programs = Kubectl::programs();
    if programs.is_empty() {
        println!("not run: there is no kubectl (LOGGIA_KUBECTL, LOGGIA_KUBE_ASSETS)");
        return;
    }
    for program in programs {
        let store = Store::new(10_000);
        let mut kinds = Kinds::builtin();
        kinds.add_crd(&crd()).unwrap();
        let server = Server { store: store.clone(), kinds: Arc::new(kinds) };
        let stop = CancellationToken::new();
        let clock: Now = Arc::new(Timestamp::now);
        tokio::spawn(run(store.clone(), Latency::default(), Arc::clone(&clock), stop.clone()));
        tokio::spawn(gc::run(store.clone(), clock, stop.clone()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(handle).with_state(server);
        tokio::spawn(async move { axum::serve(listener, app).await });
        let person = writer(store.clone(), "person");
        for object in [
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d"}, "status": {"phase": "Active"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "d"}, "data": {"a": "b"}}),
        ] {
            person.write(Write::Create(object), &View::default(), now()).unwrap();
        }
        let kubectl = Kubectl { program, server: address, home: tempfile::tempdir().unwrap() };
        tokio::task::spawn_blocking(move || talk(&kubectl)).await.unwrap();
        stop.cancel();
    }
}

fn manifest(kubectl: &Kubectl, object: &Value) -> String {
    let path = kubectl.home.path().join("manifest.json");
    std::fs::write(&path, object.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn web(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image, "ports": [{"containerPort": 80, "protocol": "TCP"}]}]},
            },
        },
    })
}

fn talk(kubectl: &Kubectl) {
    let resources = kubectl.ok(&["api-resources"]);
    let row = |name: &str| resources.lines().find(|line| words(line).first() == Some(&name)).map(words).unwrap();
    assert_eq!(row("deployments"), ["deployments", "deploy", "apps/v1", "true", "Deployment"]);
    assert_eq!(row("things"), ["things", "th", "ex.io/v1", "true", "Thing"]);
    assert_eq!(words(kubectl.ok(&["get", "cm", "settings"]).lines().last().unwrap())[..2], ["settings", "1"]);
    assert!(kubectl.ok(&["get", "namespaces", "d"]).contains("Active"));
    explains(kubectl);
    applies(kubectl);
    let wide = kubectl.ok(&["get", "pods", "-o", "wide"]);
    assert!(wide.lines().next().unwrap().contains("NOMINATED NODE"), "{wide}");
    let described = kubectl.ok(&["describe", "deployment", "web"]);
    assert!(described.contains("2 desired | 2 updated | 2 total | 2 available | 0 unavailable"), "{described}");
    assert!(described.contains("NewReplicaSetAvailable") && described.contains("NewReplicaSet:   web-"), "{described}");
    assert!(kubectl.ok(&["describe", "pods"]).contains("Ready"));
    assert!(kubectl.ok(&["get", "deploy", "web", "-o", "yaml"]).contains("observedGeneration: 1"));
    assert!(kubectl.ok(&["scale", "deploy", "web", "--replicas=3"]).contains("scaled"));
    kubectl.ok(&["rollout", "status", "deploy", "web", "--timeout=20s"]);
    assert!(kubectl.ok(&["get", "deploy", "web"]).contains("3/3"));
    kubectl.ok(&["wait", "deploy/web", "--for=condition=Available", "--timeout=20s"]);
    breaks(kubectl);
    kubectl.ok(&["delete", "deploy", "web", "--cascade=foreground", "--timeout=20s"]);
    let left = kubectl.ok(&["get", "all"]);
    assert!(!left.contains("web"), "{left}");
}

fn explains(kubectl: &Kubectl) {
    let text = kubectl.ok(&["explain", "deployment.spec.strategy"]);
    assert!(
        text.contains("FIELD: strategy <DeploymentStrategy>")
            && text.contains("rollingUpdate\t<RollingUpdateDeployment>"),
        "{text}"
    );
    let text = kubectl.ok(&["explain", "deploy.spec.template.spec.containers.ports"]);
    assert!(text.contains("containerPort\t<integer>") && text.contains("<[]ContainerPort>"), "{text}");
    let text = kubectl.ok(&["explain", "things"]);
    assert!(
        text.contains("GROUP:      ex.io") && text.contains("A thing of ours.") && text.contains("What is wished."),
        "{text}"
    );
    assert!(kubectl.ok(&["explain", "things.spec.size"]).contains("How big."));
    assert!(kubectl.ok(&["explain", "deployment", "--recursive"]).contains("maxSurge\t<IntOrString>"));
}

fn applies(kubectl: &Kubectl) {
    let file = manifest(kubectl, &web("img:1"));
    assert!(kubectl.ok(&["apply", "--server-side", "-f", &file]).contains("serverside-applied"));
    assert!(kubectl.ok(&["rollout", "status", "deploy", "web", "--timeout=20s"]).contains("successfully rolled out"));
    let line = kubectl.ok(&["get", "deploy", "web"]);
    assert_eq!(words(line.lines().nth(1).unwrap())[..4], ["web", "2/2", "2", "2"]);
    let thing = json!({"apiVersion": "ex.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "spec": {"size": 3}});
    kubectl.ok(&["apply", "-f", &manifest(kubectl, &thing)]);
    let line = kubectl.ok(&["get", "th"]);
    assert_eq!(words(line.lines().next().unwrap()), ["NAME", "READY"]);
    let settings =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"c": "d"}});
    assert!(kubectl.ok(&["apply", "-f", &manifest(kubectl, &settings)]).contains("configured"));
    assert!(!kubectl.run(&["diff", "-f", &manifest(kubectl, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"c": "e"}}))]).status.success());
}

fn breaks(kubectl: &Kubectl) {
    kubectl.ok(&["set", "image", "deploy/web", "c=img:broken"]);
    let stuck = kubectl.run(&["rollout", "status", "deploy", "web", "--timeout=2s"]);
    assert!(!stuck.status.success());
    assert!(kubectl.ok(&["get", "pods"]).contains("ImagePullBackOff"));
    assert!(kubectl.ok(&["get", "events"]).contains("Back-off pulling image \"img:broken\""));
    kubectl.ok(&["rollout", "undo", "deploy", "web"]);
    kubectl.ok(&["rollout", "status", "deploy", "web", "--timeout=20s"]);
    assert!(kubectl.ok(&["rollout", "history", "deploy", "web"]).contains('3'));
}
