//! `apply`: intents straight to the management cluster, validated as a whole first.

use anyhow::Context as _;

use super::super::args::{self, Global};
use super::super::output::{note, print};
use super::super::{Done, files, session};
use crate::cluster::Apply;
use crate::domain::intent::read::{Declared, read_intents};

/// Field manager of intents that a person handed over without Git.
const MANAGER: &str = "loggia-apply";

pub(crate) async fn apply(global: &Global, args: &args::Apply) -> anyhow::Result<Done> {
    let (declared, problems) = read_intents(&files::read(&args.path)?, global.namespace());
    for problem in &problems {
        note(&format!("{}/{problem}", args.path.display()));
    }
    if !problems.is_empty() {
        return Ok(Done::Problems);
    }
    if declared.is_empty() {
        note(&format!("{} holds no intent; nothing to do", args.path.display()));
        return Ok(Done::Fine);
    }
    let management = session::connect(global, &global.data_dir()).await?;
    let refused = |intent: &Declared| {
        let (path, file, line) = (args.path.display(), &intent.file, intent.line);
        format!("nothing was applied because of {path}/{file}:{line}; what comes from Git is changed in Git")
    };
    for intent in &declared {
        // The server checks a dry run as well, so what it refuses is known before anything is written.
        let how = Apply { dry_run: true, ..Apply::new(MANAGER) };
        management.apply(None, &intent.object, &how).await.with_context(|| refused(intent))?;
    }
    let word = if args.dry_run { "would be applied" } else { "applied" };
    for intent in &declared {
        if !args.dry_run {
            management.apply(None, &intent.object, &Apply::new(MANAGER)).await?;
        }
        print(&format!("{} {word} ({}:{})\n", intent.object.id(), intent.file, intent.line));
    }
    if !args.dry_run && !global.quiet {
        note("loggia get proposals shows what waits for you");
    }
    Ok(Done::Fine)
}
