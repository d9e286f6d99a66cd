//! The real kubectl over a loopback port. Looks for `LOGGIA_KUBECTL`, then for `kubectl` on the path.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::*;

struct Kubectl {
    program: String,
    directory: tempfile::TempDir,
}

impl Kubectl {
    fn find(server: &ApiServer, address: SocketAddr) -> Option<Self> {
        let program = std::env::var("LOGGIA_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        let version = Command::new(&program).args(["version", "--client"]).stdout(Stdio::null()).status();
        if !version.is_ok_and(|status| status.success()) {
            println!("not run: there is no kubectl (set LOGGIA_KUBECTL or put it on the PATH)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), server.kubeconfig(address)).unwrap();
        Some(Self { program, directory })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, object: &Value) -> String {
        std::fs::write(self.path(name), object.to_string()).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).env("KUBECONFIG", self.path("config")).env("HOME", self.directory.path() as &Path);
        command.env_remove("HTTP_PROXY").env_remove("HTTPS_PROXY").env("NO_PROXY", "127.0.0.1");
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}{text}");
        text.into_owned()
    }

    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "kubectl {arguments:?} should have failed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_works() {
    let now: Clock = Arc::new(crate::domain::time::Timestamp::now);
    let (name, token) = ("desk".to_owned(), Some("secret".to_owned()));
    let server = ApiServer::open(Options { name, data_dir: None, token, now, simulate_workloads: true }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn({
        let (server, shutdown) = (server.clone(), shutdown.clone());
        async move { server.serve(listener, shutdown).await }
    });
    if let Some(kubectl) = Kubectl::find(&server, address) {
        tokio::task::spawn_blocking(move || talk(&kubectl)).await.unwrap();
    }
    shutdown.cancel();
    serving.await.unwrap().unwrap();
}

fn talk(kubectl: &Kubectl) {
    let config = std::fs::read_to_string(kubectl.path("config")).unwrap();
    std::fs::write(kubectl.path("wrong"), config.replace("/secret", "/wrong")).unwrap();
    let refused = kubectl.fails(&["--kubeconfig", kubectl.path("wrong").to_str().unwrap(), "get", "pods"]);
    assert!(refused.contains("must be logged in") || refused.contains("provide credentials"), "{refused}");
    let manifest = kubectl.write("upf.json", &deployment("upf:v1"));
    assert_eq!(
        kubectl.ok(&["apply", "--server-side", "-f", &manifest]).trim(),
        "deployment.apps/upf serverside-applied"
    );
    kubectl.ok(&["rollout", "status", "deployment/upf", "--timeout=20s"]);
    let row = kubectl.ok(&["get", "deployments"]);
    assert_eq!(
        row.lines().nth(1).unwrap().split_whitespace().take(4).collect::<Vec<_>>(),
        ["upf", "2/2", "2", "2"],
        "{row}"
    );
    kubectl.ok(&["scale", "deployment/upf", "--replicas=3"]);
    kubectl.ok(&["wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/upf", "--timeout=20s"]);
    let conflict = kubectl.fails(&["apply", "--server-side", "-f", &manifest]);
    assert!(conflict.contains("conflict with \"kubectl\" with subresource \"scale\""), "{conflict}");
    let told = kubectl.ok(&["describe", "deployment", "upf"]);
    assert!(told.contains("3 desired | 3 updated | 3 total | 3 available"), "{told}");
    assert_eq!(
        kubectl.ok(&["diff", "--server-side", "--force-conflicts", "-f", &kubectl.write("same.json", &scaled(3))]),
        ""
    );
    assert!(kubectl.run(&["diff", "--server-side", "--force-conflicts", "-f", &manifest]).status.code() == Some(1));
    kubectl.ok(&["set", "image", "deployment/upf", "upf=upf:v2"]);
    kubectl.ok(&["rollout", "status", "deployment/upf", "--timeout=20s"]);
    let images = kubectl.ok(&["get", "pods", "-l", "app=upf", "-o", "jsonpath={.items[*].spec.containers[0].image}"]);
    assert_eq!(images.split_whitespace().collect::<Vec<_>>(), ["upf:v2"; 3]);
    client_side(kubectl);
    kubectl.ok(&["delete", "deployment", "upf", "--cascade=foreground", "--timeout=20s"]);
    assert_eq!(kubectl.ok(&["get", "pods", "-o", "name"]), "");
    namespaces(kubectl);
    custom(kubectl);
}

fn scaled(replicas: u32) -> Value {
    let mut object = deployment("upf:v1");
    object["spec"]["replicas"] = json!(replicas);
    object
}

fn client_side(kubectl: &Kubectl) {
    let map =
        |value: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"a": value}});
    assert_eq!(kubectl.ok(&["apply", "-f", &kubectl.write("m.json", &map("1"))]).trim(), "configmap/m created");
    assert_eq!(kubectl.ok(&["apply", "-f", &kubectl.write("m.json", &map("1"))]).trim(), "configmap/m unchanged");
    assert_eq!(kubectl.ok(&["apply", "-f", &kubectl.write("m.json", &map("2"))]).trim(), "configmap/m configured");
    assert!(kubectl.ok(&["get", "cm", "m", "-o", "yaml"]).contains("a: \"2\""));
    let mut wrong = map("3");
    wrong["date"] = json!({});
    let refused = kubectl.fails(&["apply", "-f", &kubectl.write("wrong.json", &wrong)]);
    assert!(refused.contains("unknown field \"date\""), "{refused}");
    assert!(
        kubectl.fails(&["get", "cm", "none"]).contains("Error from server (NotFound): configmaps \"none\" not found")
    );
    kubectl.ok(&["label", "cm", "m", "x=y"]);
    kubectl.ok(&["annotate", "cm", "m", "x=y"]);
    assert_eq!(kubectl.ok(&["get", "cm", "-l", "x in (y)", "-o", "name"]).trim(), "configmap/m");
    kubectl.ok(&["delete", "cm", "--all"]);
}

fn namespaces(kubectl: &Kubectl) {
    let core = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "core"}});
    kubectl.ok(&["create", "-f", &kubectl.write("core.json", &core)]);
    kubectl.ok(&["-n", "core", "apply", "-f", &kubectl.write("upf.json", &deployment("upf:v1"))]);
    kubectl.ok(&["-n", "core", "wait", "--for=condition=Available", "deployment/upf", "--timeout=20s"]);
    kubectl.ok(&["delete", "namespace", "core", "--timeout=20s"]);
    assert_eq!(kubectl.ok(&["get", "deployments,pods", "-A", "-o", "name"]), "");
}

fn custom(kubectl: &Kubectl) {
    kubectl.ok(&["apply", "--server-side", "-f", &kubectl.write("crd.json", &crd())]);
    kubectl.ok(&["wait", "--for=condition=Established", "crd/widgets.loggia.dev", "--timeout=20s"]);
    let widget = serde_json::to_value(widget(&json!({"size": 2}))).unwrap();
    kubectl.ok(&["apply", "-f", &kubectl.write("w.json", &widget)]);
    assert_eq!(kubectl.ok(&["get", "widgets", "w", "-o", "jsonpath={.spec.mode}"]), "fast");
    assert!(kubectl.ok(&["explain", "widgets.spec"]).contains("size"));
    kubectl.ok(&["delete", "crd", "widgets.loggia.dev"]);
}
