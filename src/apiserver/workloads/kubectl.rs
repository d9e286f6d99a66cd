//! The real kubectl against the whole server, over a loopback port.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::apiserver::{ApiServer, Clock, Options, Writer};

/// kubectl with a cache of its own.
struct Kubectl {
    program: PathBuf,
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
        command.args(["--kubeconfig", "config", "--request-timeout", "30s", "-n", "d"]).args(arguments);
        command.current_dir(self.home.path());
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
        "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
        "additionalPrinterColumns": columns,
    });
    let names = json!({"kind": "Thing", "plural": "things", "shortNames": ["th"]});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.ex.io"}, "spec": {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": [version]}})
}

fn server() -> ApiServer {
    let now: Clock = Arc::new(Timestamp::now);
    // kubectl sends no token over plain HTTP, whatever its kubeconfig says.
    ApiServer::open(Options { name: "talk".to_owned(), data_dir: None, token: None, now, simulate_workloads: true })
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_everything_where_it_expects_it() {
    let programs = Kubectl::programs();
    if programs.is_empty() {
        println!("not run: there is no kubectl (LOGGIA_KUBECTL, LOGGIA_KUBE_ASSETS)");
        return;
    }
    for program in programs {
        let server = server();
        for object in [
            crd(),
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d"}}),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": "d"}, "data": {"a": "b"}}),
        ] {
            server.core().create(object, &Writer::named("person")).unwrap();
        }
        let stop = CancellationToken::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config"), server.kubeconfig(listener.local_addr().unwrap())).unwrap();
        let serving = tokio::spawn({
            let (server, stop) = (server.clone(), stop.clone());
            async move { server.serve(listener, stop).await }
        });
        let kubectl = Kubectl { program, home };
        tokio::task::spawn_blocking(move || talk(&kubectl)).await.unwrap();
        stop.cancel();
        serving.await.unwrap().unwrap();
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
    watches(kubectl);
    deletes(kubectl);
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

/// A watch of rows ends with the request's time; until then it tells each change in the columns of the list.
fn watches(kubectl: &Kubectl) {
    let watched = kubectl.run(&["get", "deploy", "web", "-w", "--output-watch-events", "--request-timeout=2s"]);
    let text = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert_eq!(
        words(text.lines().next().unwrap()),
        ["EVENT", "NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"],
        "{text}"
    );
    assert_eq!(words(text.lines().nth(1).unwrap())[..3], ["ADDED", "web", "3/3"], "{text}");
}

fn deletes(kubectl: &Kubectl) {
    let pod = kubectl.ok(&["get", "pods", "-o", "name"]);
    kubectl.ok(&["delete", pod.lines().next().unwrap(), "--timeout=20s"]);
    kubectl.ok(&["rollout", "status", "deploy", "web", "--timeout=20s"]);
    assert_eq!(kubectl.ok(&["get", "pods", "-o", "name"]).lines().count(), 3);
    kubectl.ok(&["delete", "deploy", "web", "--cascade=foreground", "--timeout=20s"]);
    let left = kubectl.ok(&["get", "all"]);
    assert!(!left.contains("web"), "{left}");
    kubectl.ok(&["apply", "-f", &manifest(kubectl, &web("img:1"))]);
    kubectl.ok(&["rollout", "status", "deploy", "web", "--timeout=20s"]);
    kubectl.ok(&["delete", "deploy", "web", "--cascade=orphan", "--timeout=20s"]);
    let orphans = kubectl.ok(&["get", "rs", "-o", "jsonpath={.items[*].metadata.ownerReferences}"]);
    assert_eq!(orphans, "", "the replica sets stay and forget their owner");
    assert_eq!(kubectl.ok(&["get", "pods", "-o", "name"]).lines().count(), 2);
    kubectl.ok(&["delete", "namespace", "d", "--timeout=20s"]);
    assert!(!kubectl.ok(&["get", "pods,rs", "-A"]).contains("web"));
}
