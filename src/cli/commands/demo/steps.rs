//! The steps of the story: each does what a person does, waits for what Loggia does, and gives what there is to see.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

use super::hands::{deployment, generation, git, image, table};
use super::{Evidence, PATIENCE, QUIET, Story};
use crate::app::world;
use crate::cli::files;
use crate::domain::intent::read::read_intents;
use crate::domain::krm::Gvk;
use crate::domain::plan::text;
use crate::engine::handle::Judge;
use crate::ports::forge::ProposalKind;

impl Story {
    pub(super) async fn registered(&self) -> Evidence {
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

    pub(super) async fn intent_committed(&self) -> Evidence {
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

    pub(super) async fn proposed(&self) -> Evidence {
        let proposal = self.open_proposal(1).await?;
        ensure!(proposal.content.kind == ProposalKind::Publish, "proposal 1 is a {:?}", proposal.content.kind);
        let refs = self.refs()?;
        ensure!(refs.contains("refs/heads/proposed/core/upf-edge/intent-1"), "no proposed branch among {refs}");
        Ok(vec![refs, String::new(), proposal.content.body])
    }

    pub(super) async fn same_plan_on_the_laptop(&self) -> Evidence {
        let proposal = self.proposal(1).await?.context("proposal 1 is gone")?;
        let (declared, problems) = read_intents(&files::read(&self.checkout)?, "default");
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

    pub(super) async fn approved(&self) -> Evidence {
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

    pub(super) async fn rolled_out(&self) -> Evidence {
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
    pub(super) async fn quiet(&self) -> Evidence {
        let count = async || {
            let engine = &self.world.running.engine;
            let mut sum = engine.management.requests().active();
            for session in engine.targets.all() {
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

    pub(super) async fn drift_corrected(&self) -> Evidence {
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

    pub(super) async fn rolled_back(&self) -> Evidence {
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

    pub(super) async fn deleted(&self) -> Evidence {
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
