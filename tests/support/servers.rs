//! The two kinds of API servers that the same steps run against.

#![allow(dead_code, reason = "each test uses its own part of this")]

use std::path::PathBuf;
use std::sync::Arc;

use loggia::cluster::Cluster;
use serde_json::{Value, json};

use super::embedded::{Embedded, Tap};
use super::kube::{Control, Kubelet};

/// Which servers a test runs against.
pub(crate) enum Servers {
    /// Our own, which simulates workloads.
    Embedded(Tap),
    /// The real ones, in this directory; the test plays the kubelet.
    Real(PathBuf),
}

impl Servers {
    pub(crate) fn embedded() -> Self {
        Self::Embedded(Arc::new(|_| ()))
    }

    /// Starts one server.
    pub(crate) async fn start(&self, name: &'static str) -> Server {
        let part = match self {
            Self::Embedded(tap) => Part::Embedded(Embedded::start(tap.clone()).await),
            Self::Real(assets) => Part::Real(Control::start(assets)),
        };
        let kubeconfig = part.kubeconfig();
        let cluster = Cluster::from_kubeconfig(name, &kubeconfig, None, false).await.unwrap();
        let kubelet = matches!(part, Part::Real(_)).then(|| Kubelet::start(cluster.clone()));
        Server { cluster, kubeconfig, _kubelet: kubelet, part }
    }
}

enum Part {
    Embedded(Embedded),
    Real(Control),
}

impl Part {
    fn kubeconfig(&self) -> String {
        match self {
            Self::Embedded(embedded) => embedded.kubeconfig(),
            Self::Real(control) => control.kubeconfig(),
        }
    }
}

/// One API server and a connection to it.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    pub(crate) kubeconfig: String,
    _kubelet: Option<Kubelet>,
    part: Part,
}

impl Server {
    pub(crate) fn kubeconfig_file(&self) -> PathBuf {
        match &self.part {
            Part::Embedded(embedded) => embedded.kubeconfig_file(),
            Part::Real(control) => control.kubeconfig_file(),
        }
    }

    /// Scales a Deployment as kubectl does: by kubectl itself against the real server, by its request against ours.
    pub(crate) async fn scale(&self, namespace: &str, name: &str, replicas: u32) {
        match &self.part {
            Part::Embedded(embedded) => {
                let url = embedded.url(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale"));
                let request = reqwest::Client::builder().no_proxy().build().unwrap().patch(url);
                let request = request.header("user-agent", "kubectl/v1.36.3");
                let request = request.header("content-type", "application/merge-patch+json");
                let body = json!({"spec": {"replicas": replicas}}).to_string();
                let answer = request.body(body).send().await.unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            }
            Part::Real(control) => {
                let replicas = format!("--replicas={replicas}");
                control.kubectl(&["scale", "deployment", name, "-n", namespace, &replicas]);
            }
        }
    }

    /// What `kubectl get` shows of kinds of a group in the namespace `default`: by kubectl itself against the real
    /// server; of ours, the cells of the table that kubectl asks for.
    pub(crate) async fn table(&self, kinds: &[(&str, &str)]) -> String {
        match &self.part {
            Part::Embedded(embedded) => {
                let mut out = String::new();
                for (api, plural) in kinds {
                    let url = embedded.url(&format!("/apis/{api}/namespaces/default/{plural}"));
                    let client = reqwest::Client::builder().no_proxy().build().unwrap();
                    let request = client.get(url).header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io");
                    let answer: Value =
                        serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
                    for row in answer["rows"].as_array().unwrap() {
                        out.push_str(&format!("{}\n", row["cells"]));
                    }
                }
                out
            }
            Part::Real(control) => {
                let plurals: Vec<&str> = kinds.iter().map(|(_, plural)| *plural).collect();
                control.kubectl(&["get", &plurals.join(",")])
            }
        }
    }
}
