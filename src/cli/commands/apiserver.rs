//! `apiserver`: the embedded Kubernetes API alone, until it is told to stop.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::super::args::{self, Global, Workloads};
use super::super::output::note;
use super::super::{Done, session};
use crate::app;

pub(crate) async fn apiserver(global: &Global, args: &args::Apiserver) -> anyhow::Result<Done> {
    if !args.listen.ip().is_loopback() {
        bail!(
            "--listen {} is not a loopback address; the embedded API server has no TLS and no authorization",
            args.listen
        );
    }
    let stop = CancellationToken::new();
    let simulate = args.workloads == Workloads::Simulate;
    let served =
        app::serve_api(args.listen, global.data_dir.as_deref(), args.token.clone(), simulate, stop.clone()).await?;
    if let Some(path) = &args.kubeconfig_out {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let written = options.open(path).and_then(|mut file| file.write_all(served.kubeconfig.as_bytes()));
        written.with_context(|| format!("cannot write the kubeconfig {}", path.display()))?;
    }
    if !global.quiet {
        note(&format!("loggia apiserver: a Kubernetes API on http://{}", served.address));
    }
    session::stopped().await.context("cannot wait for signals")?;
    stop.cancel();
    served.task.await.context("the API server")??;
    Ok(Done::Fine)
}
