//! `up`: a world to play in.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use super::super::args::{self, Format, Global};
use super::super::output::{machine, note, print};
use super::super::{Done, session};
use super::functions::functions;
use crate::app::functions::Ending;
use crate::app::world::{REPOSITORIES, World};
use crate::cluster::Cluster;
use crate::domain::krm::{Gvk, Object};

pub(crate) async fn up(global: &Global, args: &args::Up) -> anyhow::Result<Done> {
    let config = session::own_config(global, "loggia-up");
    let others = functions(global, &args.others, &Ending::default());
    let world = World::start(&global.data_dir(), config, others).await.context("cannot start the world")?;
    match machine(global.output, &places(&world))? {
        Some(text) => print(&text),
        None if global.output == Format::Text && !global.quiet => print(&welcome(&world)),
        None => {}
    }
    let management = world.servers[0].connect();
    if args.once {
        tokio::select! {
            settled = settled(&management) => note(&settled?),
            stopped = session::stopped() => stopped.context("cannot wait for signals")?,
        }
    } else {
        tokio::select! {
            biased;
            stopped = session::stopped() => stopped.context("cannot wait for signals")?,
            () = world.running.ended() => bail!("the controllers ended although nobody asked them to; the log says why"),
        }
        note("stopping: rounds end, then the API servers; `loggia up` with the same directory goes on from here");
    }
    world.stop().await?;
    Ok(Done::Fine)
}

fn places(world: &World) -> Value {
    let servers: serde_json::Map<String, Value> = world
        .servers
        .iter()
        .map(|served| {
            (served.name.clone(), json!({"kubeconfig": served.kubeconfig, "address": served.address.to_string()}))
        })
        .collect();
    let repositories: serde_json::Map<String, Value> =
        REPOSITORIES.iter().map(|name| ((*name).to_owned(), json!(world.repository(name)))).collect();
    json!({"dataDir": world.directory, "apiServers": servers, "repositories": repositories})
}

fn welcome(world: &World) -> String {
    let mut out =
        format!("A world is up in {}. Ctrl-C stops it; the same command goes on.\n\n", world.directory.display());
    for served in &world.servers {
        out.push_str(&format!("  {:<12} KUBECONFIG={}\n", served.name, served.kubeconfig.display()));
    }
    for name in REPOSITORIES {
        out.push_str(&format!("  {name:<12} {}\n", world.repository(name).display()));
    }
    let (intents, directory) = (world.repository("intents"), world.directory.display());
    out.push_str(&format!(
        "\nTry, in another terminal:\n\n  git clone {} intents\n  \
         mkdir -p intents/intents && cp examples-repo/walkthrough/upf-edge.yaml intents/intents/\n  \
         git -C intents add . && git -C intents commit -m 'A UPF' && git -C intents push\n  \
         loggia --data-dir {directory} get proposals\n  loggia --data-dir {directory} approve 1\n  \
         loggia --data-dir {directory} status upf-edge\n",
        intents.display()
    ));
    out
}

/// Waits until everything is settled or waits for a person; says which.
async fn settled(management: &Cluster) -> anyhow::Result<String> {
    let mut calm = 0;
    loop {
        let open = unsettled(management).await?;
        calm = if open.is_empty() { calm + 1 } else { 0 };
        // Twice in a row: between two rounds everything looks settled for a moment.
        if calm == 3 {
            return waits(management).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

fn kinds() -> [Gvk; 4] {
    [
        Gvk::new("config.porch.kpt.dev", "v1alpha1", "Repository"),
        Gvk::new("loggia.dev", "v1alpha1", "Target"),
        Gvk::new("loggia.dev", "v1alpha1", "Sync"),
        Gvk::new("nephoran.com", "v1", "CNFDeployment"),
    ]
}

fn condition<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    let conditions = object.value().pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| condition["type"] == name)?["status"].as_str()
}

/// Objects that were not looked at in their present generation, or that work is going on for.
async fn unsettled(management: &Cluster) -> anyhow::Result<Vec<String>> {
    let mut open = Vec::new();
    for kind in kinds() {
        for object in management.list(&kind, "", "").await?.objects {
            let seen = object
                .value()
                .pointer("/status/observedGeneration")
                .is_none_or(|seen| Some(seen) == object.value().pointer("/metadata/generation"));
            let told = condition(&object, "Ready").is_some();
            let busy =
                condition(&object, "Reconciling") == Some("True") && condition(&object, "Approved") != Some("False");
            if !seen || !told || busy {
                open.push(object.id().to_string());
            }
        }
    }
    Ok(open)
}

async fn waits(management: &Cluster) -> anyhow::Result<String> {
    let mut out = Vec::new();
    for object in management.list(&Gvk::new("loggia.dev", "v1alpha1", "Sync"), "", "").await?.objects {
        let summary = object.value().pointer("/status/summary").and_then(Value::as_str).unwrap_or_default();
        out.push(format!("{}: {summary}", object.name()));
    }
    Ok(if out.is_empty() { "settled: there is no intent yet".to_owned() } else { out.join("\n") })
}
