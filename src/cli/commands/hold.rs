//! `hold` and `resume`.

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
    let lifted = engine.resume(&name, args.digest.as_deref().unwrap_or_default()).await?;
    if lifted == 0 {
        bail!("{name} holds no such digest; see `loggia status {}`", args.name);
    }
    print(&format!("resumed: {lifted} holds of {name} lifted\n"));
    Ok(Done::Fine)
}
