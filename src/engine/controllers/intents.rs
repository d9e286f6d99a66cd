//! Intents in Git become objects of the management cluster; what left Git leaves the cluster.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use kube::{Resource, ResourceExt as _};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::gather::{World, holds_intents, key, location};
use super::super::{EngineError, MANAGER};
use super::{Context, repository};
use crate::cluster::{Apply, Delete};
use crate::domain::id::{CommitId, NamespacedName};
use crate::domain::intent::read::{Declared, read_intents};
use crate::domain::intent::{CNFDeployment, Repository, SOURCE, SOURCE_OWNER, SOURCE_REPOSITORY};
use crate::domain::krm::{Gvk, Object, ObjectId};
use crate::domain::source::FileTree;
use crate::ports::git::{GitError, GitRepository, Refs, TreeBudget};
use crate::ports::repositories::Location;

/// Kinds that may come from a repository of intents.
fn kinds() -> [Gvk; 2] {
    [Gvk::new("nephoran.com", "v1", "CNFDeployment"), Gvk::new("loggia.dev", "v1alpha1", "Sync")]
}

/// What a repository of intents declares at a commit.
pub(super) struct Declaration {
    head: CommitId,
    objects: BTreeMap<ObjectId, Value>,
    /// Whether every file could be read: if not, what is missing here may be declared all the same.
    whole: bool,
}

/// What is known of the repositories of intents since the process started; `None` of one that could not be read so far.
pub(super) type Declarations = BTreeMap<NamespacedName, Option<Declaration>>;

/// What Git says of an intent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// It declares it.
    Declared,
    /// It does not, or not any more.
    Withdrawn,
    /// Its repository was not read, or moved since.
    Unread,
}

/// Asks the repository that an intent came from.
pub(super) async fn wish(context: &Context, intent: &CNFDeployment) -> Result<Wish, EngineError> {
    let world = context.world().await?;
    let Some((name, object)) = owner(&world, intent) else { return Ok(Wish::Withdrawn) };
    let place = location(object)?;
    let refs = repository::refs(context, &place).await?;
    let declarations = context.declarations.lock().unwrap_or_else(PoisonError::into_inner);
    let read = declarations.get(name).and_then(Option::as_ref);
    Ok(match read.filter(|known| refs.get(&place.head()) == Some(&known.head)) {
        Some(known) if known.objects.contains_key(&identity(intent)) => Wish::Declared,
        Some(known) if known.whole => Wish::Withdrawn,
        _ => Wish::Unread,
    })
}

/// The repository of intents that an object came from: repositories of other namespaces may have its name, and have no
/// say.
fn owner<'w, K: Resource>(world: &'w World, object: &K) -> Option<(&'w NamespacedName, &'w Repository)> {
    let owner = object.annotations().get(SOURCE_OWNER)?;
    world.repositories.iter().find(|(name, repository)| name.to_string() == *owner && holds_intents(repository))
}

/// Why an object that comes from Git is not acted on now: Git says something else, which is on its way, or is yet to be
/// read. `None` when it is as Git has it, does not come from there, or nothing can be said.
///
/// Whoever writes past Git is often seen by the controller of the intent first, which would propose what nobody
/// committed.
pub(super) async fn overruled<K, S>(
    context: &Context,
    object: &K,
    spec: impl Fn(&K) -> S,
) -> Result<Option<&'static str>, EngineError>
where
    K: Resource<DynamicType = ()> + DeserializeOwned,
    S: PartialEq,
{
    let world = context.world().await?;
    let Some((name, _)) = owner(&world, object) else { return Ok(None) };
    let declarations = context.declarations.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(read) = declarations.get(name) else { return Ok(Some("the repository it comes from is being read")) };
    let Some(known) = read else { return Ok(None) };
    Ok(match known.objects.get(&identity(object)).map(|value| serde_json::from_value::<K>(value.clone())) {
        Some(Ok(declared)) if spec(&declared) == spec(object) => None,
        Some(Ok(_)) => Some("Git declares something else, which is being taken in"),
        None if known.whole => Some("Git does not declare it any more"),
        Some(Err(_)) | None => None,
    })
}

fn identity<K: Resource<DynamicType = ()>>(object: &K) -> ObjectId {
    let NamespacedName { namespace, name } = key(object);
    ObjectId { group: K::group(&()).into_owned(), kind: K::kind(&()).into_owned(), namespace, name }
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
    let Some(head) = refs.get(&place.head()) else {
        unreadable(context, repository);
        return Ok(Vec::new());
    };
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
    let objects = declared.iter().map(|intent| (intent.object.id(), intent.object.value().clone())).collect();
    let declaration = Declaration { head: head.clone(), objects, whole: problems.is_empty() };
    context.declarations.lock().unwrap_or_else(PoisonError::into_inner).insert(repository.clone(), Some(declaration));
    write(context, repository, &declared).await?;
    if problems.is_empty() {
        withdraw(context, repository, &declared).await?;
    }
    Ok(problems.iter().map(ToString::to_string).collect())
}

/// Says that a repository could not be read: what was read before still counts, and nobody waits for the first time.
pub(super) fn unreadable(context: &Context, repository: &NamespacedName) {
    let mut declarations = context.declarations.lock().unwrap_or_else(PoisonError::into_inner);
    if !declarations.contains_key(repository) {
        declarations.insert(repository.clone(), None);
        drop(declarations);
        context.wake_all();
    }
}

async fn write(context: &Context, repository: &NamespacedName, declared: &[Declared]) -> Result<(), EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    for intent in declared {
        let mut object = intent.object.clone();
        object.set_label(SOURCE_REPOSITORY, &repository.name);
        object.set_annotation(SOURCE_OWNER, &repository.to_string());
        object.set_annotation(SOURCE, &format!("{}:{}:{}", repository.name, intent.file, intent.line));
        let live = engine.management.get(&object.gvk(), object.namespace(), object.name()).await?;
        let same = live.as_ref().is_some_and(|live| is_taken_in(live, &object));
        if !same {
            engine.management.apply(Some(&claim), &object, &Apply::new(&manager()).forced()).await?;
        }
    }
    Ok(())
}

/// Whether an object holds what is declared in Git, and no annotation that was declared there before.
fn is_taken_in(live: &Object, declared: &Object) -> bool {
    let part = |object: &Object, pointer: &str| object.value().pointer(pointer).cloned().unwrap_or(Value::Null);
    let annotations = part(declared, "/metadata/annotations");
    let declared_keys = annotations.as_object();
    let has = |key: &str| declared_keys.is_some_and(|declared| declared.contains_key(key));
    part(live, "/spec") == part(declared, "/spec")
        && live.label(SOURCE_REPOSITORY) == declared.label(SOURCE_REPOSITORY)
        && declared_keys.into_iter().flatten().all(|(key, value)| live.annotation(key) == value.as_str())
        && owned_annotations(live).all(has)
}

/// The annotations that came from Git, as the server remembers.
fn owned_annotations(live: &Object) -> impl Iterator<Item = &str> {
    let entries = live.value().pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten();
    let ours = entries.filter(|entry| entry["manager"] == manager().as_str());
    let fields = ours.filter_map(|entry| entry.pointer("/fieldsV1/f:metadata/f:annotations")?.as_object());
    fields.flat_map(|fields| fields.keys().filter_map(|key| key.strip_prefix("f:")))
}

/// Field manager of what comes from Git.
fn manager() -> String {
    format!("{MANAGER}-intents")
}

async fn withdraw(context: &Context, repository: &NamespacedName, declared: &[Declared]) -> Result<(), EngineError> {
    let engine = &context.engine;
    let claim = engine.claim()?;
    let owner = repository.to_string();
    for kind in kinds() {
        let selector = format!("{SOURCE_REPOSITORY}={}", repository.name);
        for live in engine.management.list(&kind, "", &selector).await?.objects {
            let wanted = declared.iter().any(|intent| intent.object.id() == live.id());
            let ours = live.annotation(SOURCE_OWNER) == Some(&owner);
            if ours && !wanted && !live.is_terminating() {
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
