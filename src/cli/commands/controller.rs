//! `controller`: the reconciler, until it is told to stop.

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::args::{self, Global};
use super::super::output::note;
use super::super::{Done, session};
use crate::{app, serve};

pub(crate) async fn controller(global: &Global, args: &args::Controller) -> anyhow::Result<Done> {
    let management = session::connect(global).await?;
    app::install(&management).await.context("cannot install Loggia's kinds")?;
    let identity = args.identity.clone().unwrap_or_else(|| format!("loggia-{}", std::process::id()));
    let running = app::start(management, &session::config(global, &identity))?;
    let listener = TcpListener::bind(args.listen).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    if !global.quiet {
        note(&format!("loggia controller {identity}: metrics and probes on http://{}", listener.local_addr()?));
    }
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve::serve(listener, running.engine.metrics.clone(), running.progress(), stop.clone()));
    session::stopped().await.context("cannot wait for signals")?;
    note("stopping: rounds end, then the lease is released");
    running.stop().await;
    stop.cancel();
    served.await.context("metrics")??;
    Ok(Done::Fine)
}
