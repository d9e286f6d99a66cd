//! `fn serve`: the built-in functions for others, over gRPC.

use anyhow::Context as _;

use super::super::super::args::{FnServe, Global};
use super::super::super::output::note;
use super::super::super::{Done, session};
use crate::app::functions::serve as served;
use crate::domain::package::Catalog;

pub(super) fn serve(global: &Global, args: &FnServe) -> anyhow::Result<Done> {
    session::block_on(async {
        let listener = tokio::net::TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}; is another program there?", args.listen))?;
        let address = listener.local_addr().context("cannot tell where to listen")?;
        if !global.quiet {
            note(&format!("serving {} functions on {address}; Ctrl-C ends it", Catalog.functions().len()));
        }
        let end = async { drop(session::stopped().await) };
        served(listener, end).await.context("cannot go on serving functions")?;
        Ok(Done::Fine)
    })
}
