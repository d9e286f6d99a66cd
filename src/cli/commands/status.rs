//! `status`: where a sync stands on every target.

use anyhow::bail;

use super::super::args::{self, Global};
use super::super::output::{Table, machine, print};
use super::super::{Done, session};
use crate::domain::id::NamespacedName;

pub(crate) async fn status(global: &Global, args: &args::Sync) -> anyhow::Result<Done> {
    let (engine, _) = session::look(global).await?;
    let name = NamespacedName { namespace: global.namespace().to_owned(), name: args.name.clone() };
    let Some(sync) = engine.sync(&name).await? else { bail!("there is no Sync {name}; see `loggia get syncs`") };
    let status = sync.status.unwrap_or_default();
    if let Some(text) = machine(global.output, &status)? {
        print(&text);
        return Ok(Done::Fine);
    }
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    print(&format!("{name}: {}\n", or(&status.summary)));
    print(&format!(
        "package {}, revision {}, known good {}\n",
        sync.spec.package.name,
        or(&status.revision),
        or(&status.known_good)
    ));
    if let Some(number) = status.proposal {
        print(&format!(
            "proposal {number}: read it with `loggia get proposals {number}`, then `loggia approve {number}`\n"
        ));
    }
    if !status.held.is_empty() {
        print(&format!("held: {}\n", status.held.join(", ")));
    }
    let mut table = Table::new(&["TARGET", "WAVE", "REVISION", "HEALTH", "OBJECTS", "MESSAGE"]);
    for row in status.targets {
        let revision = if row.revision.is_empty() { "-".to_owned() } else { row.revision };
        table.row(vec![row.name, row.wave.to_string(), revision, row.health, row.objects.to_string(), row.message]);
    }
    if !table.is_empty() {
        print(&format!("\n{}", table.text()));
    }
    Ok(Done::Fine)
}
