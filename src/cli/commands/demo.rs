//! `demo`: the whole story in a world of its own. It plays only what a person does; everything else is the product.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};

use super::super::args::{self, Global};
use super::super::output::{Table, note, print};
use super::super::{Done, session};
use crate::app::examples;
use crate::app::world::{self, World};
use crate::cluster::Cluster;
use crate::config::Config;
use crate::domain::intent::read::read_intents;
use crate::domain::krm::{Gvk, Object};
use crate::domain::plan::text;
use crate::domain::time::{SignedDuration, Timestamp};
use crate::engine::Engine;
use crate::engine::handle::Judge;
use crate::ports::forge::{Decision, Proposal, ProposalKind};

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
        let world = World::start(directory, config.clone()).await?;
        let management = world.servers[0].connect();
        let edges = world.servers[1..].iter().map(world::Served::connect).collect();
        let (_, claims) = tokio::sync::watch::channel(None);
        let (looking, _) = crate::app::engine(management.clone(), &config, claims)?;
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

    async fn registered(&self) -> Evidence {
        let published = async || {
            let revisions = self.revisions().await?;
            let listed = ["amf", "upf", "web"].iter().all(|name| revisions.iter().any(|row| row[0] == *name));
            let kind = Gvk::new("config.porch.kpt.dev", "v1alpha1", "Repository");
            let repositories = self.management.list(&kind, "default", "").await?.objects;
            let ready = repositories.iter().all(|object| object.value().pointer("/status/conditions").is_some());
            Ok((listed && ready).then_some(revisions))
        };
        let revisions = self.eventually("the blueprints are listed", published).await?;
        Ok(vec![
            self.table("config.porch.kpt.dev/v1alpha1", "repositories").await?,
            table(&["PACKAGE", "REVISION", "LIFECYCLE", "REPOSITORY"], revisions),
        ])
    }

    async fn intent_committed(&self) -> Evidence {
        let commit = self.commit("upf-edge.yaml", "A UPF on every edge")?;
        let noticed = async || {
            let intent = self.intent().await?;
            Ok(intent.filter(|intent| !intent.value()["status"]["phase"].is_null()))
        };
        let intent = self.eventually("Loggia takes in the intent", noticed).await?;
        let source = intent.annotation("loggia.dev/source").unwrap_or_default().to_owned();
        Ok(vec![
            format!("$ git push            # intents/upf-edge.yaml, commit {commit}"),
            format!(
                "CNFDeployment default/{}: valid, {} (from {source})",
                intent.name(),
                intent.value()["status"]["phase"]
            ),
        ])
    }

    async fn proposed(&self) -> Evidence {
        let proposal = self.open_proposal(1).await?;
        ensure!(proposal.content.kind == ProposalKind::Publish, "proposal 1 is a {:?}", proposal.content.kind);
        let refs = self.refs()?;
        ensure!(refs.contains("refs/heads/proposed/core/upf-edge/intent-1"), "no proposed branch among {refs}");
        Ok(vec![refs, String::new(), proposal.content.body])
    }

    async fn same_plan_on_the_laptop(&self) -> Evidence {
        let proposal = self.proposal(1).await?.context("proposal 1 is gone")?;
        let (declared, problems) = read_intents(&session::tree(&self.checkout)?, "default");
        ensure!(problems.is_empty(), "the checkout has problems: {problems:?}");
        let world = crate::engine::gather::World::read(&self.management, "default").await?;
        let previews = self.looking.preview(&world, "default", &declared, Judge::Schemas).await?;
        let preview = previews.first().context("the checkout previews nothing")?;
        let (here, there) = (&preview.plan.id, &proposal.content.plan);
        ensure!(here == there, "the laptop plans {here}, the proposal shows {there}");
        Ok(vec![
            "$ loggia diff intents".to_owned(),
            text(&preview.plan),
            format!("plan id on the laptop and on the proposal: {}", here.short()),
        ])
    }

    async fn approved(&self) -> Evidence {
        let how = self.approve(1).await?;
        let published = async || {
            let refs = self.refs()?;
            let clean = !refs.contains("/proposed/") && !refs.contains("/drafts/");
            Ok((refs.contains("refs/tags/core/upf-edge/v1") && clean).then_some(refs))
        };
        let refs = self.eventually("the revision is published", published).await?;
        let message = git(&self.world.repository("deployments"), &["log", "-1", "--format=%an: %B", "main"])?;
        ensure!(message.contains("kpt:{"), "the commit carries no kpt: line: {message}");
        Ok(vec![how, refs, String::new(), message])
    }

    async fn rolled_out(&self) -> Evidence {
        self.settled("v1").await?;
        for (edge, name) in self.edges.iter().zip(world::EDGES) {
            let image = image(edge).await?;
            ensure!(image == "registry.example/upf:1.4.2", "{name} runs {image:?}");
        }
        self.eventually("the intent says that it runs", async || {
            Ok(self.intent().await?.filter(|intent| intent.value()["status"]["phase"] == "Running"))
        })
        .await?;
        let mut evidence = vec!["$ kubectl get syncs,packagerevisions,cnfdeployments".to_owned()];
        for (api, plural) in [
            ("loggia.dev/v1alpha1", "syncs"),
            ("porch.kpt.dev/v1alpha2", "packagerevisions"),
            ("nephoran.com/v1", "cnfdeployments"),
        ] {
            evidence.extend([self.table(api, plural).await?, String::new()]);
        }
        evidence.push("$ kubectl get events".to_owned());
        evidence.extend(self.events().await?);
        Ok(evidence)
    }

    /// No request but open watches and the lease.
    async fn quiet(&self) -> Evidence {
        let count = async || {
            let engine = &self.world.running.engine;
            let mut sum = engine.management.requests().active();
            for session in engine.targets.all().await {
                sum += session.cluster.requests().active();
            }
            sum
        };
        let deadline = Instant::now() + PATIENCE;
        let mut before = count().await;
        loop {
            tokio::time::sleep(QUIET).await;
            let now = count().await;
            if now == before {
                return Ok(vec![format!(
                    "{now} requests since the start, 0 in the last {} s (watches and the lease stay)",
                    QUIET.as_secs()
                )]);
            }
            ensure!(Instant::now() < deadline, "there were still {} requests in {} s", now - before, QUIET.as_secs());
            before = now;
        }
    }

    async fn drift_corrected(&self) -> Evidence {
        let path = "/apis/apps/v1/namespaces/core/deployments/upf-edge/scale?fieldManager=somebody";
        let request = http::Request::patch(path).header("content-type", "application/merge-patch+json");
        let request = request.body(json!({"spec": {"replicas": 5}}).to_string().into_bytes())?;
        self.edges[0].client().request::<Value>(request).await.context("scaling by hand")?;
        let corrected = async || {
            let events = self.events().await?;
            let told = events.into_iter().find(|line| line.contains(".spec.replicas: 5 -> 2"));
            let back = deployment(&self.edges[0]).await?.is_some_and(|found| found["spec"]["replicas"] == 2);
            Ok(told.filter(|_| back))
        };
        let event = self.eventually("the drift is corrected", corrected).await?;
        ensure!(event.contains("somebody"), "the event does not say who: {event}");
        self.settled("v1").await?;
        Ok(vec!["edge-1$ kubectl scale deployment upf-edge --replicas=5".to_owned(), event])
    }

    async fn rolled_back(&self) -> Evidence {
        let untouched = generation(&self.edges[1]).await?;
        self.commit("upf-edge-broken.yaml", "A new image")?;
        self.open_proposal(2).await?;
        let how = self.approve(2).await?;
        let revert = self.open_proposal(3).await?;
        ensure!(revert.content.kind == ProposalKind::Revert, "proposal 3 is a {:?}", revert.content.kind);
        ensure!(revert.content.body.contains("ImagePullBackOff"), "no evidence in:\n{}", revert.content.body);
        let back = async || Ok((image(&self.edges[0]).await? == "registry.example/upf:1.4.2").then_some(()));
        self.eventually("edge-1 is back on the good image", back).await?;
        ensure!(generation(&self.edges[1]).await? == untouched, "edge-2 was touched");
        let held = async || {
            let message = self.intent_message().await?;
            Ok((message.contains("held") && message.contains("ImagePullBackOff")).then_some(message))
        };
        let message = self.eventually("the intent says why it is held", held).await?;
        self.push("The same again")?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ensure!(self.proposal(4).await?.is_none(), "the held content was proposed again");
        Ok(vec![
            "$ git push            # image registry.example/upf:broken".to_owned(),
            how,
            format!("proposal 3: {}", revert.content.title),
            revert.content.body,
            format!("the intent: {message}"),
            "edge-2 was never touched; the same content, committed again, is not proposed again".to_owned(),
        ])
    }

    async fn deleted(&self) -> Evidence {
        let how = self.approve(3).await?;
        self.settled("v3").await?;
        git(&self.checkout, &["rm", "--quiet", "intents/upf-edge.yaml"])?;
        self.push("No UPF any more")?;
        let proposal = self.open_proposal(4).await?;
        ensure!(proposal.content.kind == ProposalKind::Delete, "proposal 4 is a {:?}", proposal.content.kind);
        for edge in &self.edges {
            ensure!(deployment(edge).await?.is_some(), "something was deleted before it was approved");
        }
        self.approve_by_forge(&proposal).await?;
        self.eventually("the intent is gone", async || Ok(self.intent().await?.is_none().then_some(()))).await?;
        for (edge, name) in self.edges.iter().zip(world::EDGES) {
            ensure!(deployment(edge).await?.is_none(), "the Deployment is still on {name}");
            let namespace = edge.get(&Gvk::new("", "v1", "Namespace"), "", "core").await?;
            ensure!(namespace.is_some(), "the namespace core, which is not ours, is gone from {name}");
        }
        Ok(vec![
            how,
            "$ git rm intents/upf-edge.yaml && git commit && git push".to_owned(),
            proposal.content.body,
            "$ loggia approve 4".to_owned(),
            "nothing of it is left on edge-1 and edge-2; nothing else was touched".to_owned(),
        ])
    }
}

/// What the person does, and how they look.
impl Story {
    fn commit(&self, walkthrough: &str, message: &str) -> anyhow::Result<String> {
        let text = examples::below("walkthrough").find(|(name, _)| *name == walkthrough).map(|(_, text)| text);
        let file = self.checkout.join("intents/upf-edge.yaml");
        std::fs::create_dir_all(self.checkout.join("intents"))?;
        std::fs::write(&file, text.with_context(|| format!("there is no example {walkthrough}"))?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        self.push(message)
    }

    fn push(&self, message: &str) -> anyhow::Result<String> {
        git(&self.checkout, &["add", "--all"])?;
        git(&self.checkout, &["commit", "--quiet", "--allow-empty", "-m", message])?;
        git(&self.checkout, &["push", "--quiet", "origin", "HEAD:main"])?;
        git(&self.checkout, &["rev-parse", "--short", "HEAD"])
    }

    /// Approves: by the forge, or by merging the proposed branch.
    async fn approve(&self, number: u64) -> anyhow::Result<String> {
        let proposal = self.proposal(number).await?.with_context(|| format!("proposal {number} is gone"))?;
        if !self.merge_with_git {
            self.approve_by_forge(&proposal).await?;
            return Ok(format!("$ loggia approve {number}    # plan {}", proposal.content.plan.short()));
        }
        let clone = self.world.directory.join("deployments");
        if clone.exists() {
            git(&clone, &["pull", "--quiet", "--ff-only"])?;
        } else {
            let from = self.world.repository("deployments").display().to_string();
            git(&self.world.directory, &["clone", "--quiet", &from, "deployments"])?;
        }
        let branch = proposal.content.head_ref.strip_prefix("refs/heads/").unwrap_or(&proposal.content.head_ref);
        git(&clone, &["fetch", "--quiet", "origin"])?;
        git(&clone, &["merge", "--quiet", "--no-ff", "-m", &format!("Merge {branch}"), &format!("origin/{branch}")])?;
        git(&clone, &["push", "--quiet", "origin", "HEAD:main"])?;
        Ok(format!("$ git merge origin/{branch} && git push"))
    }

    async fn approve_by_forge(&self, proposal: &Proposal) -> anyhow::Result<()> {
        let found = self.found(proposal.number).await?.context("the proposal is gone")?;
        let decision = Decision::Approve { plan: proposal.content.plan.clone(), head: proposal.content.head.clone() };
        found.forge.decide(proposal.number, decision, "A Person", "person@example.com", Timestamp::now()).await?;
        Ok(())
    }

    async fn found(&self, number: u64) -> anyhow::Result<Option<crate::engine::handle::Found>> {
        let world = crate::engine::gather::World::read(&self.management, "default").await?;
        let all = self.looking.proposals(&world, "default").await?;
        Ok(all.into_iter().find(|found| found.proposal.number == number))
    }

    async fn proposal(&self, number: u64) -> anyhow::Result<Option<Proposal>> {
        Ok(self.found(number).await?.map(|found| found.proposal))
    }

    async fn open_proposal(&self, number: u64) -> anyhow::Result<Proposal> {
        let told = format!("proposal {number} opens");
        self.eventually(&told, async || Ok(self.proposal(number).await?.filter(|p| p.verdict.word() == "Open"))).await
    }

    async fn sync(&self) -> anyhow::Result<Value> {
        let found = self.management.get(&Gvk::new("loggia.dev", "v1alpha1", "Sync"), "default", "upf-edge").await?;
        Ok(found.map_or(Value::Null, Object::into_value))
    }

    async fn settled(&self, revision: &str) -> anyhow::Result<()> {
        let settled = async || {
            let status = &self.sync().await?["status"];
            Ok((status["summary"] == "settled" && status["revision"] == revision).then_some(()))
        };
        self.eventually(&format!("{revision} is healthy on both edges"), settled).await
    }

    async fn intent(&self) -> anyhow::Result<Option<Object>> {
        Ok(self.management.get(&Gvk::new("nephoran.com", "v1", "CNFDeployment"), "default", "upf-edge").await?)
    }

    async fn intent_message(&self) -> anyhow::Result<String> {
        let intent = self.intent().await?;
        let message = intent.as_ref().and_then(|intent| intent.value().pointer("/status/message"));
        Ok(message.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    async fn events(&self) -> anyhow::Result<Vec<String>> {
        let events = self.management.list(&Gvk::new("", "v1", "Event"), "default", "").await?.objects;
        let line = |event: &Object| {
            let text = |field: &str| event.value()[field].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("reason"), text("message"))
        };
        Ok(events.iter().map(line).collect())
    }

    async fn revisions(&self) -> anyhow::Result<Vec<Vec<String>>> {
        let kind = Gvk::new("porch.kpt.dev", "v1alpha2", "PackageRevision");
        let objects = self.management.list(&kind, "default", "").await?.objects;
        let row = |object: &Object| {
            let field = |pointer: &str| match object.value().pointer(pointer) {
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
                None => "-".to_owned(),
            };
            vec![
                field("/spec/packageName"),
                field("/status/revision"),
                field("/spec/lifecycle"),
                field("/spec/repository"),
            ]
        };
        Ok(objects.iter().map(row).collect())
    }

    fn refs(&self) -> anyhow::Result<String> {
        git(&self.world.repository("deployments"), &["for-each-ref", "--format=%(objectname:short) %(refname)"])
    }

    /// The table that kubectl asks for, and so the one it shows.
    async fn table(&self, api: &str, plural: &str) -> anyhow::Result<String> {
        let request = http::Request::get(format!("/apis/{api}/namespaces/default/{plural}"));
        let request = request.header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io").body(Vec::new())?;
        let answer: Value = self.management.client().request(request).await?;
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let columns = list(&answer["columnDefinitions"]);
        let shown: Vec<usize> =
            (0..columns.len()).filter(|index| columns[*index]["priority"].as_i64().unwrap_or(0) == 0).collect();
        let word = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let head: Vec<String> = shown.iter().map(|index| word(&columns[*index]["name"]).to_uppercase()).collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let rows = list(&answer["rows"])
            .iter()
            .map(|row| shown.iter().map(|index| word(&row["cells"][*index])).collect())
            .collect();
        Ok(table(&head, rows))
    }

    /// Looks again and again until something is there; says what was waited for when it never is.
    async fn eventually<T>(
        &self,
        told: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look().await? {
                return Ok(found);
            }
            if Instant::now() >= deadline {
                let status = &self.sync().await?["status"]["summary"];
                bail!("waited {} s for: {told}; the sync says {status}", PATIENCE.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new(head);
    for row in rows {
        table.row(row);
    }
    table.indented(3)
}

async fn deployment(edge: &Cluster) -> anyhow::Result<Option<Value>> {
    let found = edge.get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await?;
    Ok(found.map(Object::into_value))
}

async fn image(edge: &Cluster) -> anyhow::Result<String> {
    let found = deployment(edge).await?.unwrap_or_default();
    let image = found.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
    Ok(image.unwrap_or_default().to_owned())
}

async fn generation(edge: &Cluster) -> anyhow::Result<i64> {
    let found = deployment(edge).await?.unwrap_or_default();
    Ok(found.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default())
}

/// Plain git, as a person without any configuration has it.
fn git(directory: &Path, args: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git")
        .args(["-c", "user.name=A Person", "-c", "user.email=person@example.com"])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .context("cannot run git; the demo plays a person who uses it, please install it")?;
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "git {} in {}: {}", args.join(" "), directory.display(), error.trim());
    Ok(out.trim().to_owned())
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
