//! `rollback`: proposes an older revision again. It is a step forward and goes through the same gate.

use anyhow::{Context as _, bail};

use super::super::args::{self, Global};
use super::super::output::print;
use super::super::{Done, session};
use crate::domain::id::NamespacedName;
use crate::domain::revision::refs::number;

pub(crate) async fn rollback(global: &Global, args: &args::Rollback) -> anyhow::Result<Done> {
    let to = match &args.to {
        Some(text) => Some(number(text).with_context(|| format!("--to {text:?} is not a revision such as v1"))?),
        None => None,
    };
    let (engine, world) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let Some(sync) = engine.sync(&name).await? else { bail!("there is no Sync {name}; see `loggia get syncs`") };
    let draft = engine.draft_rollback(&world, &sync, to).await?;
    print(&format!("drafted: {}; its proposal opens next, see `loggia get proposals`\n", draft.name));
    Ok(Done::Fine)
}
