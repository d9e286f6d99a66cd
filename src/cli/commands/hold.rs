//! `hold`, `suspend` and `resume`.

use anyhow::bail;

use super::super::args::{self, Global};
use super::super::output::print;
use super::super::{Done, session};
use crate::domain::id::{Digest, NamespacedName};

pub(crate) async fn hold(global: &Global, args: &args::Hold) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let state = engine.state.get(&name).await?.value;
    let known: Vec<Digest> = state
        .units
        .values()
        .filter_map(|unit| unit.current.as_ref())
        .map(|current| current.declared.clone())
        .chain(state.history.iter().rev().filter_map(|record| record.declared.clone()))
        .collect();
    let wanted = args.digest.as_deref().unwrap_or_default();
    if !wanted.is_empty() && wanted.len() < 8 {
        bail!("--digest {wanted} is too short; give at least 8 digits");
    }
    let Some(digest) = known.into_iter().find(|digest| digest.as_str().starts_with(wanted)) else {
        bail!("{name} has applied no such digest; see `loggia history {}`", args.name)
    };
    let (by, _) = session::person(None)?;
    engine.hold(&name, &digest, &args.message, &by).await?;
    print(&format!("held: {} of {name}\n", digest.short()));
    Ok(Done::Fine)
}

pub(crate) async fn resume(global: &Global, args: &args::Resume) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let (by, _) = session::person(None)?;
    let Some(sync) = engine.sync(&name).await? else { bail!("there is no Sync {name}; see `loggia get syncs`") };
    let lifted = engine.resume(&name, args.digest.as_deref().unwrap_or_default(), &by).await?;
    let suspended = sync.spec.suspend && args.digest.is_none();
    if suspended {
        engine.suspend(&name, false, &by, "it may go on").await?;
        print(&format!("resumed: {name} goes on\n"));
    }
    if lifted > 0 {
        print(&format!("resumed: {lifted} held {} of {name} let go\n", if lifted == 1 { "digest" } else { "digests" }));
    }
    if lifted == 0 && !suspended {
        bail!("{name} is not suspended and holds no such digest; see `loggia status {}`", args.name);
    }
    Ok(Done::Fine)
}

pub(crate) async fn suspend(global: &Global, args: &args::Suspend) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let (by, _) = session::person(None)?;
    if engine.sync(&name).await?.is_none() {
        bail!("there is no Sync {name}; see `loggia get syncs`");
    }
    engine.suspend(&name, true, &by, &args.message).await?;
    print(&format!("suspended: {name}; nothing is applied or corrected until `loggia resume {}`\n", args.name));
    Ok(Done::Fine)
}
