//! `history`: what happened to a sync.

use super::super::args::{self, Global};
use super::super::output::{Table, machine, note, print};
use super::super::{Done, session};
use crate::domain::id::NamespacedName;
use crate::domain::time::rfc3339_seconds;

pub(crate) async fn history(global: &Global, args: &args::Sync) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let state = engine.state.get(&name).await?.value;
    if let Some(text) = machine(global.output, &state.history)? {
        print(&text);
        return Ok(Done::Fine);
    }
    let mut table = Table::new(&["WHEN", "EVENT", "TARGET", "REVISION", "MESSAGE"]);
    for record in &state.history {
        table.row(vec![
            rfc3339_seconds(record.at),
            record.event.clone(),
            record.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string),
            if record.revision > 0 { format!("v{}", record.revision) } else { "-".to_owned() },
            record.message.clone(),
        ]);
    }
    if table.is_empty() {
        note(&format!("{name} has no history"));
    } else {
        print(&table.text());
    }
    Ok(Done::Fine)
}
