//! Making connections.

use std::path::Path;
use std::sync::Arc;

use http::{Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::Mutex;
use tower::{BoxError, Service};

use super::counts::CountLayer;
use super::{Cluster, ClusterError, RequestCounts, discover};

impl Cluster {
    /// Connects with a kubeconfig's text, by its current context or the one that is named.
    ///
    /// # Errors
    /// [`ClusterError::Connect`]; a kubeconfig that would run a program is refused when `may_run_programs` is false.
    pub async fn from_kubeconfig(
        name: &str,
        text: &str,
        context: Option<&str>,
        may_run_programs: bool,
    ) -> Result<Self, ClusterError> {
        let failed = |reason: String| ClusterError::Connect { cluster: name.to_owned(), reason };
        let kubeconfig = Kubeconfig::from_yaml(text).map_err(|error| failed(error.to_string()))?;
        if !may_run_programs && runs_programs(&kubeconfig) {
            return Err(failed(
                "its kubeconfig asks to run a program, which is refused; use a token or a certificate".to_owned(),
            ));
        }
        let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
            .await
            .map_err(|error| failed(error.to_string()))?;
        Self::from_config(name, config)
    }

    /// Connects with the kubeconfig in a file.
    ///
    /// # Errors
    /// As [`Cluster::from_kubeconfig`].
    pub async fn from_kubeconfig_file(name: &str, path: &Path, context: Option<&str>) -> Result<Self, ClusterError> {
        let text = std::fs::read_to_string(path).map_err(|error| ClusterError::Connect {
            cluster: name.to_owned(),
            reason: format!("cannot read kubeconfig {}: {error}", path.display()),
        })?;
        Self::from_kubeconfig(name, &text, context, true).await
    }

    /// Connects to the cluster that this process runs in.
    ///
    /// # Errors
    /// [`ClusterError::Connect`] outside a cluster.
    pub fn in_cluster(name: &str) -> Result<Self, ClusterError> {
        let config = kube::Config::incluster()
            .map_err(|error| ClusterError::Connect { cluster: name.to_owned(), reason: error.to_string() })?;
        Self::from_config(name, config)
    }

    fn from_config(name: &str, mut config: kube::Config) -> Result<Self, ClusterError> {
        // Installing twice is an error that does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A retry that nobody sees would break the claim's deadline.
        config.default_retry = false;
        config.read_timeout = None;
        let counts = RequestCounts::default();
        let client = ClientBuilder::try_from(config)
            .map_err(|error| ClusterError::Connect { cluster: name.to_owned(), reason: error.to_string() })?
            .with_layer(&CountLayer(counts.clone()))
            .build();
        Ok(Self::assembled(name, client, counts))
    }

    /// Uses a service in this process: no socket, works under a paused clock.
    pub fn from_service<S, B>(name: &str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let counts = RequestCounts::default();
        let client = ClientBuilder::new(service, "default").with_layer(&CountLayer(counts.clone())).build();
        Self::assembled(name, client, counts)
    }

    fn assembled(name: &str, client: kube::Client, counts: RequestCounts) -> Self {
        Self { name: name.to_owned(), client, counts, resources: Arc::new(Mutex::new(discover::Resources::default())) }
    }
}

fn runs_programs(kubeconfig: &Kubeconfig) -> bool {
    kubeconfig
        .auth_infos
        .iter()
        .filter_map(|named| named.auth_info.as_ref())
        .any(|info| info.exec.is_some() || info.auth_provider.is_some())
}
