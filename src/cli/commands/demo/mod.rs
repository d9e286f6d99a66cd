//! `demo`: the whole story in a world of its own. It plays only what a person does; everything else is the product.

mod hands;
mod steps;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::hands::git;
use crate::app::functions::Functions;
use crate::app::world::{self, World};
use crate::cli::args::Global;
use crate::cli::output::{note, print};
use crate::cli::{Done, args};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::domain::time::SignedDuration;
use crate::engine::Engine;

/// How long a step may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long nothing may be asked in the quiet period.
const QUIET: Duration = Duration::from_secs(4);

pub(crate) async fn demo(global: &Global, args: &args::Demo) -> anyhow::Result<Done> {
    let directory = global.data_dir().join("demo");
    world::remove(&directory)?;
    print(&format!(
        "Loggia, end to end: three Kubernetes API servers, three git repositories, one reconciler, all in this process\n\
         and in {}. You are the person; Loggia does the rest.\n",
        directory.display()
    ));
    let mut story =
        Story::begin(&directory, args.merge_with_git).await.context("cannot start the world of the demo")?;
    let (held, failure) = story.play().await;
    let failed = usize::from(failure.is_some());
    if let Some(failure) = &failure {
        note(&format!("\n{failure}"));
    }
    story.world.stop().await?;
    print(&format!("\ndemo: {held} steps held, {failed} failed\n"));
    if failure.is_none() {
        print(&format!("Look around in what is left: loggia up --data-dir {}\n", directory.display()));
    }
    Ok(if failure.is_none() { Done::Fine } else { Done::Problems })
}

/// The world, and what the person has at hand.
struct Story {
    world: World,
    looking: Engine,
    management: Cluster,
    edges: Vec<Cluster>,
    checkout: PathBuf,
    merge_with_git: bool,
}

/// What a step showed.
type Evidence = anyhow::Result<Vec<String>>;

impl Story {
    async fn begin(directory: &Path, merge_with_git: bool) -> anyhow::Result<Self> {
        // A person who watches does not want to wait half a minute for each proof of health.
        let config = Config { stable_for: SignedDuration::from_secs(1), ..Config::new("loggia-demo") };
        let world = World::start(directory, config.clone(), Functions::default()).await?;
        let management = world.servers[0].connect();
        let edges = world.servers[1..].iter().map(world::Served::connect).collect();
        let (_, claims) = tokio::sync::watch::channel(None);
        let (looking, _) = crate::app::engine(management.clone(), &config, &Functions::default(), claims)?;
        let checkout = world.directory.join("intents");
        let story = Self { world, looking, management, edges, checkout, merge_with_git };
        let from = story.world.repository("intents");
        git(&story.world.directory, &["clone", "--quiet", &from.display().to_string(), "intents"])?;
        Ok(story)
    }

    /// Plays all steps; gives how many held, and which did not and why.
    async fn play(&mut self) -> (usize, Option<String>) {
        let mut held = 0;
        for (number, title) in TITLES.iter().enumerate().map(|(index, title)| (index + 1, title)) {
            print(&format!("\n{number}. {title}\n"));
            let began = Instant::now();
            match self.step(number).await {
                Ok(evidence) => {
                    for line in evidence.iter().flat_map(|block| block.lines()).filter(|line| !line.starts_with("<!--"))
                    {
                        print(&format!("   {line}\n"));
                    }
                    print(&format!("   held, after {:.1} s\n", began.elapsed().as_secs_f64()));
                    held += 1;
                }
                Err(error) => return (held, Some(format!("step {number} did not hold ({title}): {error:#}"))),
            }
        }
        (held, None)
    }

    async fn step(&self, number: usize) -> Evidence {
        match number {
            1 => self.registered().await,
            2 => self.intent_committed().await,
            3 => self.proposed().await,
            4 => self.same_plan_on_the_laptop().await,
            5 => self.approved().await,
            6 => self.rolled_out().await,
            7 => self.quiet().await,
            8 => self.drift_corrected().await,
            9 => self.rolled_back().await,
            _ => self.deleted().await,
        }
    }
}

const TITLES: [&str; 10] = [
    "Repositories are registered; the blueprints' published revisions are known",
    "A person commits a CNFDeployment: a UPF with two replicas",
    "Loggia renders it, drafts it in Porch's layout, and opens proposal 1 with the exact plan",
    "`loggia diff` on the person's checkout shows the same plan, with the same id",
    "The person approves; the revision is published",
    "Wave 1 gets healthy, then wave 2",
    "A quiet period: nothing is asked",
    "Somebody scales the Deployment on edge-1 by hand; Loggia says who, and corrects it",
    "A bad image: applied to wave 1 only, rolled back, held; a revert is proposed",
    "The revert is approved; the intent is deleted, and what it made is pruned",
];
