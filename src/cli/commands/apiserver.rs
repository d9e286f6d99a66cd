//! `apiserver`: the embedded Kubernetes API alone, until it is told to stop.

use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use anyhow::{Context as _, bail};
use tokio_util::sync::CancellationToken;

use super::super::args::{self, Global, Workloads};
use super::super::output::note;
use super::super::{Done, session};
use crate::app;

pub(crate) async fn apiserver(global: &Global, args: &args::Apiserver) -> anyhow::Result<Done> {
    if args.token.as_deref() == Some("") {
        bail!("--token is empty; give one, or leave --token away to ask for none");
    }
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
        let written = write_private(path, served.kubeconfig.as_bytes());
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

/// Writes a file that only its owner may read, also where there is one already: it may hold a token.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    if file.metadata()?.is_file() {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    file.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_there_is_private_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("kubeconfig");
        std::fs::write(&path, "something longer than what comes").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        write_private(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
