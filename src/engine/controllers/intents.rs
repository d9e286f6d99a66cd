//! Intents in Git become objects of the management cluster; what left Git leaves the cluster.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::{EngineError, MANAGER};
use super::Context;
use crate::cluster::{Apply, Delete};
use crate::domain::id::NamespacedName;
use crate::domain::intent::read::{Declared, read_intents};
use crate::domain::intent::{SOURCE, SOURCE_REPOSITORY};
use crate::domain::krm::{Gvk, Object};
use crate::domain::source::FileTree;
use crate::ports::git::{GitError, GitRepository, Refs, TreeBudget};
use crate::ports::repositories::Location;

/// Kinds that may come from a repository of intents.
fn kinds() -> [Gvk; 2] {
    [Gvk::new("nephoran.com", "v1", "CNFDeployment"), Gvk::new("loggia.dev", "v1alpha1", "Sync")]
}

/// Takes the head of the branch in; gives the problems of files that were not taken.
///
/// With problems nothing is deleted: an intent that cannot be read is not an intent that was withdrawn.
pub(super) async fn take_in(
    context: &Arc<Context>,
    repository: &NamespacedName,
    git: &Arc<dyn GitRepository>,
    refs: &Refs,
    place: &Location,
) -> Result<Vec<String>, EngineError> {
    let Some(head) = refs.get(&format!("refs/heads/{}", place.branch)) else { return Ok(Vec::new()) };
    let (reader, commit, directory) = (git.clone(), head.clone(), place.directory.clone());
    let read = move || -> Result<FileTree, GitError> {
        match reader.subtree(&commit, &directory)? {
            Some(tree) => reader.read_tree(&tree, &TreeBudget::default()),
            None => Ok(FileTree::new()),
        }
    };
    let files = tokio::task::spawn_blocking(read).await.unwrap_or_else(|error| {
        Err(GitError::Io { url: place.url.clone(), act: "reading intents", reason: error.to_string() })
    })?;
    let (declared, problems) = read_intents(&files, &repository.namespace);
    write(context, repository, &declared).await?;
    if problems.is_empty() {
        withdraw(context, repository, &declared).await?;
    }
    Ok(problems.iter().map(ToString::to_string).collect())
}

async fn write(context: &Context, repository: &NamespacedName, declared: &[Declared]) -> Result<(), EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    for intent in declared {
        let mut object = intent.object.clone();
        object.set_label(SOURCE_REPOSITORY, &repository.name);
        object.set_annotation(SOURCE, &format!("{}:{}:{}", repository.name, intent.file, intent.line));
        let live = engine.management.get(&object.gvk(), object.namespace(), object.name()).await?;
        let same = live.as_ref().is_some_and(|live| {
            let part = |object: &Object, pointer: &str| object.value().pointer(pointer).cloned().unwrap_or(Value::Null);
            part(live, "/spec") == part(&object, "/spec")
                && live.label(SOURCE_REPOSITORY) == Some(repository.name.as_str())
                && live.annotation(SOURCE) == object.annotation(SOURCE)
        });
        if !same {
            engine.management.apply(Some(&claim), &object, &Apply::new(&format!("{MANAGER}-intents")).forced()).await?;
        }
    }
    Ok(())
}

async fn withdraw(context: &Context, repository: &NamespacedName, declared: &[Declared]) -> Result<(), EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    for kind in kinds() {
        let selector = format!("{SOURCE_REPOSITORY}={}", repository.name);
        for live in engine.management.list(&kind, "", &selector).await?.objects {
            let wanted = declared.iter().any(|intent| intent.object.id() == live.id());
            if !wanted && !live.is_terminating() {
                let when = Delete { uid: Some(live.uid().to_owned()), resource_version: None };
                engine.management.delete(Some(&claim), &kind, &live.id(), &when).await?;
            }
        }
    }
    Ok(())
}

/// Takes the finalizer off an object.
pub(super) fn without_finalizer(finalizers: &[String]) -> Value {
    let kept: Vec<&String> = finalizers.iter().filter(|name| *name != crate::domain::intent::FINALIZER).collect();
    json!({"metadata": {"finalizers": kept}})
}
