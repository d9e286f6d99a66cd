//! `approve` and `reject`: what a person decides about a proposal.

use anyhow::{Context as _, bail};

use super::super::args::{self, Global};
use super::super::output::print;
use super::super::{Done, session};
use crate::domain::approval::{names_plan, walls};
use crate::domain::plan::Plan;
use crate::engine::handle::Found;
use crate::ports::forge::Decision;

async fn find(global: &Global, number: u64, repository: Option<&str>) -> anyhow::Result<Found> {
    let (engine, world) = session::look(global).await?;
    let all = engine.proposals(&world, global.namespace()).await?;
    let mut found: Vec<Found> = all
        .into_iter()
        .filter(|found| {
            found.proposal.number == number && repository.is_none_or(|name| found.repository.as_str() == name)
        })
        .collect();
    match found.len() {
        0 => bail!("there is no proposal {number}; see `loggia get proposals`"),
        1 => Ok(found.remove(0)),
        _ => bail!("several repositories have a proposal {number}; name one with --repository"),
    }
}

pub(crate) async fn approve(global: &Global, args: &args::Approve) -> anyhow::Result<Done> {
    let found = find(global, args.number, args.repository.as_deref()).await?;
    let content = &found.proposal.content;
    if let Some(read) = &args.plan
        && !names_plan(read, &content.plan)
    {
        bail!("proposal {} shows plan {} now, not {read}; read it again", args.number, content.plan.short());
    }
    let plan: Plan = serde_json::from_value(content.plan_json.clone())
        .with_context(|| format!("the plan of proposal {} cannot be read", args.number))?;
    let walls = walls(&plan);
    if !walls.is_empty() {
        bail!("proposal {} cannot be carried out as it is:\n  {}", args.number, walls.join("\n  "));
    }
    let (name, email) = session::person(args.person.as_deref())?;
    let decision = Decision::Approve { plan: content.plan.clone(), head: content.head.clone() };
    let now = crate::domain::time::Timestamp::now();
    let proposal = found.forge.decide(args.number, decision, &name, &email, now).await?;
    print(&format!(
        "approved: proposal {} ({}), plan {}\n",
        args.number,
        proposal.content.title,
        proposal.content.plan.short()
    ));
    Ok(Done::Fine)
}

pub(crate) async fn reject(global: &Global, args: &args::Reject) -> anyhow::Result<Done> {
    let found = find(global, args.number, args.repository.as_deref()).await?;
    let (name, email) = session::person(args.person.as_deref())?;
    let decision = Decision::Reject { reason: args.message.clone() };
    let now = crate::domain::time::Timestamp::now();
    let proposal = found.forge.decide(args.number, decision, &name, &email, now).await?;
    print(&format!("rejected: proposal {} ({})\n", args.number, proposal.content.title));
    Ok(Done::Fine)
}
