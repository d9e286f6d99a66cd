//! What the person of the story does, and how they look.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use super::{PATIENCE, Story};
use crate::app::examples;
use crate::cli::output::Table;
use crate::cluster::Cluster;
use crate::domain::krm::{Gvk, Object};
use crate::domain::time::Timestamp;
use crate::ports::forge::{Decision, Proposal};

impl Story {
    pub(super) fn commit(&self, walkthrough: &str, message: &str) -> anyhow::Result<String> {
        let text = examples::below("walkthrough").find(|(name, _)| *name == walkthrough).map(|(_, text)| text);
        let file = self.checkout.join("intents/upf-edge.yaml");
        std::fs::create_dir_all(self.checkout.join("intents"))?;
        std::fs::write(&file, text.with_context(|| format!("there is no example {walkthrough}"))?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        self.push(message)
    }

    pub(super) fn push(&self, message: &str) -> anyhow::Result<String> {
        git(&self.checkout, &["add", "--all"])?;
        git(&self.checkout, &["commit", "--quiet", "--allow-empty", "-m", message])?;
        git(&self.checkout, &["push", "--quiet", "origin", "HEAD:main"])?;
        git(&self.checkout, &["rev-parse", "--short", "HEAD"])
    }

    /// Approves: by the forge, or by merging the proposed branch.
    pub(super) async fn approve(&self, number: u64) -> anyhow::Result<String> {
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

    pub(super) async fn approve_by_forge(&self, proposal: &Proposal) -> anyhow::Result<()> {
        let found = self.found(proposal.number).await?.context("the proposal is gone")?;
        let decision = Decision::Approve { plan: proposal.content.plan.clone(), head: proposal.content.head.clone() };
        found.forge.decide(proposal.number, decision, "A Person", "person@example.com", Timestamp::now()).await?;
        Ok(())
    }

    pub(super) async fn found(&self, number: u64) -> anyhow::Result<Option<crate::engine::handle::Found>> {
        let world = crate::engine::gather::World::read(&self.management, "default").await?;
        let all = self.looking.proposals(&world, "default").await?;
        Ok(all.into_iter().find(|found| found.proposal.number == number))
    }

    pub(super) async fn proposal(&self, number: u64) -> anyhow::Result<Option<Proposal>> {
        Ok(self.found(number).await?.map(|found| found.proposal))
    }

    pub(super) async fn open_proposal(&self, number: u64) -> anyhow::Result<Proposal> {
        let told = format!("proposal {number} opens");
        self.eventually(&told, async || Ok(self.proposal(number).await?.filter(|p| p.verdict.word() == "Open"))).await
    }

    pub(super) async fn sync(&self) -> anyhow::Result<Value> {
        let found = self.management.get(&Gvk::new("loggia.dev", "v1alpha1", "Sync"), "default", "upf-edge").await?;
        Ok(found.map_or(Value::Null, Object::into_value))
    }

    pub(super) async fn settled(&self, revision: &str) -> anyhow::Result<()> {
        let settled = async || {
            let status = &self.sync().await?["status"];
            Ok((status["summary"] == "settled" && status["revision"] == revision).then_some(()))
        };
        self.eventually(&format!("{revision} is healthy on both edges"), settled).await
    }

    pub(super) async fn intent(&self) -> anyhow::Result<Option<Object>> {
        Ok(self.management.get(&Gvk::new("nephoran.com", "v1", "CNFDeployment"), "default", "upf-edge").await?)
    }

    pub(super) async fn intent_message(&self) -> anyhow::Result<String> {
        let intent = self.intent().await?;
        let message = intent.as_ref().and_then(|intent| intent.value().pointer("/status/message"));
        Ok(message.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    pub(super) async fn events(&self) -> anyhow::Result<Vec<String>> {
        let events = self.management.list(&Gvk::new("", "v1", "Event"), "default", "").await?.objects;
        let line = |event: &Object| {
            let text = |field: &str| event.value()[field].as_str().unwrap_or_default().to_owned();
            format!("{}: {}", text("reason"), text("message"))
        };
        Ok(events.iter().map(line).collect())
    }

    pub(super) async fn revisions(&self) -> anyhow::Result<Vec<Vec<String>>> {
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

    pub(super) fn refs(&self) -> anyhow::Result<String> {
        git(&self.world.repository("deployments"), &["for-each-ref", "--format=%(objectname:short) %(refname)"])
    }

    /// The table that kubectl asks for, and so the one it shows.
    pub(super) async fn table(&self, api: &str, plural: &str) -> anyhow::Result<String> {
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
    pub(super) async fn eventually<T>(
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

pub(super) fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new(head);
    for row in rows {
        table.row(row);
    }
    table.indented(3)
}

pub(super) async fn deployment(edge: &Cluster) -> anyhow::Result<Option<Value>> {
    let found = edge.get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await?;
    Ok(found.map(Object::into_value))
}

pub(super) async fn image(edge: &Cluster) -> anyhow::Result<String> {
    let found = deployment(edge).await?.unwrap_or_default();
    let image = found.pointer("/spec/template/spec/containers/0/image").and_then(Value::as_str);
    Ok(image.unwrap_or_default().to_owned())
}

pub(super) async fn generation(edge: &Cluster) -> anyhow::Result<i64> {
    let found = deployment(edge).await?.unwrap_or_default();
    Ok(found.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default())
}

/// Plain git, as a person without any configuration has it.
pub(super) fn git(directory: &Path, args: &[&str]) -> anyhow::Result<String> {
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
