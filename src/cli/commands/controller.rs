//! `controller`: the reconciler, until it is told to stop; `config`: what it would run with.

use anyhow::{Context as _, ensure};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::super::args::{self, Global};
use super::super::output::{Table, machine, note, print};
use super::super::{Done, session};
use super::functions::functions;
use crate::app::functions::Ending;
use crate::{app, serve};

pub(crate) async fn controller(global: &Global, args: &args::Controller) -> anyhow::Result<Done> {
    let (config, _) = session::settings(global, &args.settings)?;
    let management = session::connect(global, &config.data_dir).await?;
    app::install(&management).await.context("cannot install Loggia's kinds")?;
    let listener =
        TcpListener::bind(config.listen).await.with_context(|| format!("cannot listen on {}", config.listen))?;
    let running = app::start(management, &config, functions(global, &args.others, &Ending::default()))?;
    if !global.quiet {
        note(&format!(
            "loggia controller {}: metrics and probes on http://{}",
            config.identity,
            listener.local_addr()?
        ));
    }
    let stop = CancellationToken::new();
    let served = tokio::spawn(serve::serve(listener, running.engine.metrics.clone(), running.progress(), stop.clone()));
    let is_asked = tokio::select! {
        biased;
        stopped = session::stopped() => stopped.map(|()| true).context("cannot wait for signals")?,
        () = running.ended() => false,
    };
    note("stopping: rounds end, then the lease is released");
    running.stop().await;
    stop.cancel();
    served.await.context("metrics")??;
    ensure!(is_asked, "the controllers ended although nobody asked them to; the log says why");
    Ok(Done::Fine)
}

pub(crate) fn config(global: &Global, args: &args::Settings) -> anyhow::Result<Done> {
    let (_, settings) = session::settings(global, args)?;
    if let Some(text) = machine(global.output, &settings)? {
        print(&text);
        return Ok(Done::Fine);
    }
    let mut table = Table::new(&["SETTING", "VALUE", "FROM"]);
    for setting in settings {
        table.row(vec![setting.name.to_owned(), setting.value, setting.from.to_owned()]);
    }
    print(&table.text());
    Ok(Done::Fine)
}
