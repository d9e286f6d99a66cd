//! The controllers' own work, over a management cluster in this process: two namespaces, each with its own objects.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use tokio_util::sync::DropGuard;

use super::*;
use crate::adapters::git;
use crate::cluster::Cluster;
use crate::domain::intent::{SOURCE_OWNER, SOURCE_REPOSITORY};
use crate::domain::krm::Gvk;
use crate::domain::source::{File, FileTree};
use crate::domain::time::Timestamp;
use crate::engine::gather::location;
use crate::engine::targets::testing::{Clock, engine, engine_over, faltering, put, server, target};
use crate::ports::git::{NewCommit, Person, RefUpdate};

/// Objects as a watch that has read them once shows them.
fn kept<K: Watched>(objects: &[K]) -> Kept<K> {
    let (store, mut writer) = reflector::store();
    writer.apply_watcher_event(&watcher::Event::Init);
    for object in objects {
        writer.apply_watcher_event(&watcher::Event::InitApply(object.clone()));
    }
    writer.apply_watcher_event(&watcher::Event::InitDone);
    Kept { store, whole: watch::channel(true).1 }
}

fn context(engine: &Arc<Engine>, repositories: &[Repository], targets: &[Target]) -> Arc<Context> {
    Arc::new(Context {
        engine: engine.clone(),
        repositories: kept(repositories),
        targets: kept(targets),
        dealt_with: Mutex::new(World::default()),
        syncs: kept(&[]),
        statuses: Mutex::new(BTreeMap::new()),
        meddled: Arc::new(AtomicU64::new(0)),
        wake: broadcast::channel(16).0,
        told: broadcast::channel(16).0,
        seen: Mutex::new(BTreeMap::new()),
        declarations: Mutex::new(BTreeMap::new()),
        followed: Mutex::new(BTreeMap::new()),
    })
}

/// A git repository of intents and its object, which is called `intents` in every namespace.
fn intents_of(dir: &Path, namespace: &str) -> Repository {
    let path = dir.join(format!("{namespace}.git"));
    git::init(&path).unwrap();
    serde_json::from_value(json!({
        "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": "intents", "namespace": namespace, "annotations": {"loggia.dev/content": "intents"}},
        "spec": {"type": "git", "git": {"repo": path, "branch": "main"}}
    }))
    .unwrap()
}

/// Commits Syncs, and nothing else, to a repository of intents and takes it in.
async fn take_in(context: &Arc<Context>, repository: &Repository, syncs: &[&str]) {
    let place = location(repository).unwrap();
    let git = context.engine.repositories.git(&place).unwrap();
    let mut files = FileTree::new();
    for name in syncs {
        let sync = json!({
            "apiVersion": "loggia.dev/v1alpha1", "kind": "Sync", "metadata": {"name": name},
            "spec": {"package": {"repository": "deployments", "name": "upf"}}
        });
        files.insert(format!("intents/{name}.yaml"), File::regular(sync.to_string().into_bytes())).unwrap();
    }
    files.insert("readme", File::regular(b"intents".to_vec())).unwrap();
    let person = Person { name: "A Person".into(), email: "person@example.com".into() };
    let parent = git.refs().unwrap().get(&place.head()).cloned();
    let new = NewCommit {
        tree: git.write_tree(&files).unwrap(),
        parents: parent.iter().cloned().collect(),
        author: person.clone(),
        committer: person,
        at: Timestamp::UNIX_EPOCH,
        message: format!("{syncs:?}\n"),
    };
    let update = RefUpdate { name: place.head(), expected: parent, new: Some(git.write_commit(&new).unwrap()) };
    git.push(None, &[update]).unwrap();
    let refs = git.refs().unwrap();
    let problems = intents::take_in(context, &key(repository), &git, &refs, &place).await.unwrap();
    assert_eq!(problems, Vec::<String>::new());
}

async fn uid(engine: &Engine, namespace: &str, name: &str) -> Option<String> {
    let kind = Gvk::new("loggia.dev", "v1alpha1", "Sync");
    Some(engine.management.get(&kind, namespace, name).await.unwrap()?.uid().to_owned())
}

async fn eventually(told: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Duration::from_mins(1);
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(deadline, waiting).await.unwrap_or_else(|_| panic!("did not hold: {told}"));
}

#[tokio::test]
async fn a_repository_is_followed_once_and_as_long_as_it_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine().await;
    let here = intents_of(dir.path(), "one");
    let mut there = intents_of(dir.path(), "two");
    there.metadata.namespace.clone_from(&here.metadata.namespace);
    let context = context(&engine, &[], &[]);
    // Each task that follows a repository looks at the context from afar.
    for repository in [&here, &there, &here] {
        repository::reconcile(context.clone(), Arc::new(repository.clone())).await.unwrap();
        eventually("one task follows it", || Arc::weak_count(&context) == 1).await;
    }
    context.prune();
    eventually("nobody follows what is gone", || Arc::weak_count(&context) == 0).await;
    assert!(context.dealt_with.lock().unwrap().repositories.is_empty());
}

#[tokio::test]
async fn what_is_kept_for_a_target_ends_with_it() {
    let engine = engine().await;
    let (stays, goes) = (target("stays"), target("goes"));
    let context = context(&engine, &[], std::slice::from_ref(&stays));
    for target in [&stays, &goes] {
        target::reconcile(context.clone(), Arc::new(target.clone())).await.unwrap();
    }
    assert_eq!(engine.targets.all().len(), 2);
    context.prune();
    let left: Vec<String> = engine.targets.all().iter().map(|session| session.name.to_string()).collect();
    assert_eq!(left, ["stays"]);
}

/// Lets its controller look at the Target `edge`; gives what it says of Ready.
async fn look(context: &Arc<Context>) -> String {
    let kind = Gvk::new("loggia.dev", "v1alpha1", "Target");
    let read = async || context.engine.management.get(&kind, "two", "edge").await.unwrap().unwrap().into_value();
    let target: Target = serde_json::from_value(read().await).unwrap();
    target::reconcile(context.clone(), Arc::new(target)).await.unwrap();
    read().await["status"]["conditions"][0]["status"].as_str().unwrap_or_default().to_owned()
}

fn edge(spec: &Value) -> Value {
    let metadata = json!({"name": "edge", "namespace": "two"});
    json!({"apiVersion": "loggia.dev/v1alpha1", "kind": "Target", "metadata": metadata, "spec": spec})
}

#[tokio::test]
async fn a_target_that_goes_down_is_noticed() {
    let (down, clock) = (Arc::new(AtomicBool::new(false)), Clock::new());
    let management = faltering(&server("management"), "/version", &down);
    let engine = engine_over(management, clock.clone()).await;
    put(&engine.management, edge(&json!({}))).await;
    let context = context(&engine, &[], &[]);
    let mut wakes = context.wake.subscribe();
    assert_eq!(look(&context).await, "True");
    down.store(true, Ordering::Release);
    assert_eq!(look(&context).await, "True", "it is not asked all the time");
    while wakes.try_recv().is_ok() {}
    clock.pass(SignedDuration::from_mins(1));
    assert_eq!(look(&context).await, "False");
    assert!(engine.targets.all().is_empty(), "what is left of it is not used");
    assert!(wakes.try_recv().is_ok(), "everybody is told");
    assert!(wakes.try_recv().is_err(), "once");
    assert_eq!(look(&context).await, "False");
    assert!(wakes.try_recv().is_err(), "once");
    down.store(false, Ordering::Release);
    assert_eq!(look(&context).await, "True");
    assert!(wakes.try_recv().is_ok(), "everybody is told");
}

/// A server on a loopback port, until the guard is dropped: its kubeconfig, and itself.
async fn served(name: &str) -> (String, Cluster, DropGuard) {
    let (server, stop) = (server(name), CancellationToken::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let kubeconfig = server.kubeconfig(listener.local_addr().unwrap());
    let (serving, stopped) = (server.clone(), stop.clone());
    tokio::spawn(async move { serving.serve(listener, stopped).await.unwrap() });
    (kubeconfig, Cluster::from_service(name, server.service()), stop.drop_guard())
}

#[tokio::test]
async fn a_kubeconfig_that_is_replaced_is_used() {
    let clock = Clock::new();
    let falters = Arc::new(AtomicBool::new(false));
    let management = faltering(&server("management"), "/secrets/", &falters);
    let engine = engine_over(management, clock.clone()).await;
    let ((old, _, _old), (new, second, _new)) = (served("old").await, served("new").await);
    put(&second, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "second"}})).await;
    let secret = |kubeconfig: &str| {
        let metadata = json!({"name": "edge", "namespace": "two"});
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"kubeconfig": kubeconfig}})
    };
    put(&engine.management, secret(&old)).await;
    put(&engine.management, edge(&json!({"kubeconfigSecret": {"name": "edge"}}))).await;
    let context = context(&engine, &[], &[]);
    assert_eq!(look(&context).await, "True");
    let first = engine.targets.all().remove(0);
    clock.pass(SignedDuration::from_mins(1));
    assert_eq!(look(&context).await, "True");
    assert!(Arc::ptr_eq(&first, &engine.targets.all()[0]), "nothing is new");
    falters.store(true, Ordering::Release);
    clock.pass(SignedDuration::from_mins(1));
    assert_eq!(look(&context).await, "Unknown", "nobody can say");
    assert!(Arc::ptr_eq(&first, &engine.targets.all()[0]), "it is not the target's fault");
    falters.store(false, Ordering::Release);

    put(&engine.management, secret(&new)).await;
    clock.pass(SignedDuration::from_mins(1));
    assert_eq!(look(&context).await, "True");
    let namespace = Gvk::new("", "v1", "Namespace");
    let session = engine.targets.all().remove(0);
    assert!(session.cluster.get(&namespace, "", "second").await.unwrap().is_some());
}

#[tokio::test]
async fn a_repository_withdraws_only_its_own_intents() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine().await;
    let (one, two) = (intents_of(dir.path(), "one"), intents_of(dir.path(), "two"));
    let context = context(&engine, &[one.clone(), two.clone()], &[]);
    take_in(&context, &one, &["a"]).await;
    let first = uid(&engine, "one", "a").await;
    take_in(&context, &two, &["b"]).await;
    assert_eq!(uid(&engine, "one", "a").await, first, "it is the other one's");
    let second = uid(&engine, "two", "b").await;
    assert!(first.is_some() && second.is_some());

    // Somebody wrote a label by hand: no repository of that name may take it for its own.
    let by_hand = json!({
        "apiVersion": "loggia.dev/v1alpha1", "kind": "Sync",
        "metadata": {"name": "c", "namespace": "one", "labels": {SOURCE_REPOSITORY: "intents"}},
        "spec": {"package": {"repository": "deployments", "name": "upf"}}
    });
    put(&engine.management, by_hand).await;
    take_in(&context, &one, &[]).await;
    assert_eq!(uid(&engine, "one", "a").await, None, "its own");
    assert!(uid(&engine, "one", "c").await.is_some());
    assert_eq!(uid(&engine, "two", "b").await, second);
}

#[tokio::test]
async fn only_the_repository_that_an_intent_came_from_is_asked_about_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = engine().await;
    let (one, two) = (intents_of(dir.path(), "one"), intents_of(dir.path(), "two"));
    let context = context(&engine, &[one.clone(), two.clone()], &[]);
    take_in(&context, &two, &["b"]).await;
    let intent = |owner: &str| -> CNFDeployment {
        serde_json::from_value(json!({
            "apiVersion": "nephoran.com/v1", "kind": "CNFDeployment",
            "metadata": {
                "name": "upf", "namespace": "two",
                "labels": {SOURCE_REPOSITORY: "intents"}, "annotations": {SOURCE_OWNER: owner}
            },
            "spec": {"cnfType": "5G-Core", "function": "UPF", "resources": {"cpu": "1", "memory": "1Gi"}}
        }))
        .unwrap()
    };
    // The first one was never read: it says nothing about its own, and has no say in what is the other one's.
    let (ours, others) = (intent("two/intents"), intent("one/intents"));
    assert_eq!(intents::wish(&context, &ours).await.unwrap(), intents::Wish::Withdrawn);
    assert_eq!(intents::wish(&context, &others).await.unwrap(), intents::Wish::Unread);
    let spec = |intent: &CNFDeployment| intent.spec.clone();
    let overruled = intents::overruled(&context, &ours, spec).await.unwrap();
    assert_eq!(overruled, Some("Git does not declare it any more"));
    let overruled = intents::overruled(&context, &others, spec).await.unwrap();
    assert_eq!(overruled, Some("the repository it comes from is being read"));
}
