//! The controllers over a real store, with a clock that only the tests move.

use std::sync::Mutex;

use serde_json::json;

use super::driver::Driver;
use super::parts::{condition, is_true, list, name, number, text};
use super::*;
use crate::apiserver::core::Clock;
use crate::apiserver::gc;
use crate::apiserver::store::{Key, revision_of};

/// A server, its controllers, a clock, and a person who writes.
pub(crate) struct World {
    core: Arc<Core>,
    clock: Arc<Mutex<Timestamp>>,
    workloads: Driver<Workloads>,
    collector: Driver<gc::Collector>,
    person: Writer,
}

impl World {
    pub(crate) async fn new(start: SignedDuration) -> Self {
        let clock = Arc::new(Mutex::new("2026-11-21T06:00:00Z".parse().unwrap()));
        let hand = Arc::clone(&clock);
        let now: Clock = Arc::new(move || *hand.lock().unwrap());
        let core = Arc::new(Core::open("world", None, now).unwrap());
        let writer = |manager| Writer::new(Arc::clone(&core), manager);
        let mut world = Self {
            workloads: Driver::new(Workloads { latency: Latency { start } }, writer(MANAGER)),
            collector: Driver::new(gc::Collector, writer(MANAGER)),
            person: writer("person"),
            clock,
            core,
        };
        world.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d"}})).await;
        world
    }

    fn now(&self) -> Timestamp {
        *self.clock.lock().unwrap()
    }

    fn revision(&self) -> u64 {
        self.core.store().revision()
    }

    pub(crate) async fn settle(&mut self) {
        loop {
            let before = self.revision();
            self.workloads.settled().await;
            self.collector.settled().await;
            if self.revision() == before {
                return;
            }
        }
    }

    pub(crate) async fn pass(&mut self, seconds: i64) {
        let next = parts::plus(self.now(), seconds);
        *self.clock.lock().unwrap() = next;
        self.settle().await;
    }

    pub(crate) async fn create(&mut self, object: Value) {
        self.person.write(Write::Create(object)).unwrap();
        self.settle().await;
    }

    pub(crate) async fn change(&mut self, group: &str, plural: &str, name: &str, change: impl Fn(&mut Value)) {
        let mut object = self.get(group, plural, name).unwrap();
        change(&mut object);
        self.person.write(Write::Update(object)).unwrap();
        self.settle().await;
    }

    pub(crate) async fn delete(&mut self, object: &Value, foreground: bool) {
        self.person.write(Write::Delete { object: object.clone(), foreground }).unwrap();
        self.settle().await;
    }

    pub(crate) fn get(&self, group: &str, plural: &str, name: &str) -> Option<Value> {
        self.all(group, plural).into_iter().find(|object| parts::name(object) == name)
    }

    pub(crate) fn all(&self, group: &str, plural: &str) -> Vec<Value> {
        let found = self.core.store().list(&Resource::new(group, plural), Some("d")).objects;
        found.into_iter().map(|object| object.as_ref().clone()).collect()
    }

    fn deployment(&self) -> Value {
        self.get("apps", "deployments", "web").unwrap()
    }
}

fn workload(kind: &str, group: &str, image: &str, spec: &Value) -> Value {
    let mut object = json!({
        "apiVersion": format!("{group}/v1"), "kind": kind, "metadata": {"name": "web", "namespace": "d"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "c", "image": image, "ports": [{"name": "http", "containerPort": 8080}]}]},
            },
        },
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn deployment(image: &str, spec: &Value) -> Value {
    workload("Deployment", "apps", image, spec)
}

fn image(image: &str) -> impl Fn(&mut Value) {
    move |object: &mut Value| object["spec"]["template"]["spec"]["containers"][0]["image"] = json!(image)
}

fn reason<'v>(object: &'v Value, kind: &str) -> &'v str {
    condition(object, kind).map_or("", |c| text(c, "/reason"))
}

/// What kstatus asks of a Deployment that is current.
fn is_current(deployment: &Value) -> bool {
    let wished = number(deployment, "/spec/replicas");
    let counts = ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"];
    counts.iter().all(|c| number(deployment, &format!("/status/{c}")) == wished)
        && number(deployment, "/status/observedGeneration") == number(deployment, "/metadata/generation")
        && reason(deployment, "Progressing") == "NewReplicaSetAvailable"
        && is_true(deployment, "Available")
}

#[tokio::test]
async fn a_deployment_gets_a_replica_set_and_pods_that_are_ready() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:1", &json!({"replicas": 3}))).await;
    assert!(is_current(&world.deployment()), "{:#}", world.deployment());
    let sets = world.all("apps", "replicasets");
    let [set] = sets.as_slice() else { panic!("{sets:#?}") };
    let hash = text(set, "/metadata/labels/pod-template-hash");
    assert_eq!(name(set), format!("web-{hash}"));
    assert_eq!(text(set, "/spec/selector/matchLabels/pod-template-hash"), hash);
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    assert_eq!(set["metadata"]["annotations"]["deployment.kubernetes.io/max-replicas"], "4");
    let pods = world.all("", "pods");
    assert_eq!(pods.len(), 3);
    for pod in &pods {
        assert!(name(pod).starts_with(&format!("web-{hash}-")));
        assert!(
            is_true(pod, "Ready") && text(pod, "/status/phase") == "Running" && !text(pod, "/status/podIP").is_empty()
        );
        assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], set["metadata"]["uid"]);
    }
    let quiet = world.revision();
    world.pass(10_000).await;
    assert_eq!(world.revision(), quiet, "a settled world writes nothing");
}

#[tokio::test]
async fn an_update_replaces_pods_within_its_limits_and_keeps_the_old_set() {
    let mut world = World::new(SignedDuration::from_secs(5)).await;
    world.create(deployment("img:1", &json!({"replicas": 4}))).await;
    assert!(matches!(reason(&world.deployment(), "Progressing"), "NewReplicaSetCreated" | "ReplicaSetUpdated"));
    world.pass(5).await;
    assert!(is_current(&world.deployment()), "{:#}", world.deployment());
    world.change("apps", "deployments", "web", image("img:2")).await;
    for _ in 0..20 {
        let ready = world.all("", "pods").iter().filter(|pod| is_true(pod, "Ready")).count();
        let total = world.all("", "pods").len();
        assert!((3..=4).contains(&ready) && total <= 5, "ready {ready} of {total}");
        world.pass(1).await;
    }
    assert!(is_current(&world.deployment()), "{:#}", world.deployment());
    assert_eq!(world.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
    let sizes: Vec<i64> = world.all("apps", "replicasets").iter().map(|set| number(set, "/spec/replicas")).collect();
    assert_eq!(sizes.iter().sum::<i64>(), 4);
    assert_eq!(sizes.len(), 2);
    assert!(world.all("", "pods").iter().all(|pod| pod["spec"]["containers"][0]["image"] == "img:2"));
}

#[tokio::test]
async fn a_broken_image_never_gets_ready_misses_the_deadline_and_is_rolled_back() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:1", &json!({"replicas": 3, "progressDeadlineSeconds": 60}))).await;
    world.change("apps", "deployments", "web", image("reg.io:5000/img:broken")).await;
    let deployment = world.deployment();
    assert!(matches!(reason(&deployment, "Progressing"), "NewReplicaSetCreated" | "ReplicaSetUpdated"));
    assert_eq!((number(&deployment, "/status/updatedReplicas"), number(&deployment, "/status/readyReplicas")), (1, 3));
    let pods = world.all("", "pods");
    let sick: Vec<&Value> = pods.iter().filter(|pod| !is_true(pod, "Ready")).collect();
    let waiting = &list(sick[0], "/status/containerStatuses")[0]["state"]["waiting"];
    assert_eq!(waiting["reason"], "ImagePullBackOff");
    assert_eq!(waiting["message"], "Back-off pulling image \"reg.io:5000/img:broken\"");
    let events = world.all("", "events");
    let told = |reason: &str| {
        events.iter().any(|e| e["reason"] == reason && e["involvedObject"]["uid"] == sick[0]["metadata"]["uid"])
    };
    assert!(told("Failed") && told("BackOff"));
    world.pass(59).await;
    assert!(is_true(&world.deployment(), "Progressing"));
    world.pass(1).await;
    assert_eq!(reason(&world.deployment(), "Progressing"), "ProgressDeadlineExceeded");
    assert!(!is_true(&world.deployment(), "Progressing") && is_true(&world.deployment(), "Available"));
    world.change("apps", "deployments", "web", image("img:1")).await;
    assert!(is_current(&world.deployment()), "{:#}", world.deployment());
    assert_eq!(world.deployment()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3");
    assert_eq!(world.all("", "pods").len(), 3);
}

#[tokio::test]
async fn a_crashing_image_restarts_ever_more_slowly() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:crash", &json!({"replicas": 1}))).await;
    let restarts =
        |world: &World| list(&world.all("", "pods")[0], "/status/containerStatuses")[0]["restartCount"].clone();
    let mut counts = vec![restarts(&world)];
    for _ in 0..7 {
        world.pass(10).await;
        counts.push(restarts(&world));
    }
    assert_eq!(counts, [1, 2, 2, 3, 3, 3, 3, 4]);
    let pod = &world.all("", "pods")[0];
    assert_eq!(list(pod, "/status/containerStatuses")[0]["state"]["waiting"]["reason"], "CrashLoopBackOff");
}

#[tokio::test]
async fn scaling_and_deleted_pods_are_made_good() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:1", &json!({"replicas": 2}))).await;
    world.change("apps", "deployments", "web", |o| o["spec"]["replicas"] = json!(5)).await;
    assert_eq!(world.all("", "pods").len(), 5);
    assert!(is_current(&world.deployment()));
    world.change("apps", "deployments", "web", |o| o["spec"]["replicas"] = json!(1)).await;
    let pods = world.all("", "pods");
    assert_eq!(pods.len(), 1);
    world.delete(&pods[0], false).await;
    let after = world.all("", "pods");
    assert_eq!(after.len(), 1);
    assert_ne!(after[0]["metadata"]["uid"], pods[0]["metadata"]["uid"]);
    assert_ne!(name(&after[0]), name(&pods[0]));
    world.change("apps", "deployments", "web", |o| o["spec"]["replicas"] = json!(0)).await;
    assert!(world.all("", "pods").is_empty() && is_current(&world.deployment()));
}

#[tokio::test]
async fn recreate_lets_the_old_pods_go_first() {
    let mut world = World::new(SignedDuration::from_secs(5)).await;
    world.create(deployment("img:1", &json!({"replicas": 2, "strategy": {"type": "Recreate"}}))).await;
    world.pass(5).await;
    world.change("apps", "deployments", "web", image("img:2")).await;
    assert!(world.all("", "pods").iter().all(|pod| !is_true(pod, "Ready")));
    world.pass(5).await;
    assert!(is_current(&world.deployment()), "{:#}", world.deployment());
}

#[tokio::test]
async fn old_sets_beyond_the_history_limit_go() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:0", &json!({"replicas": 1, "revisionHistoryLimit": 2}))).await;
    for version in 1..6 {
        world.change("apps", "deployments", "web", image(&format!("img:{version}"))).await;
    }
    assert!(is_current(&world.deployment()));
    assert_eq!(world.all("apps", "replicasets").len(), 3);
}

#[tokio::test]
async fn a_stateful_set_starts_in_order_and_renews_from_the_end() {
    let mut world = World::new(SignedDuration::from_secs(1)).await;
    world.create(workload("StatefulSet", "apps", "img:1", &json!({"replicas": 2, "serviceName": "web"}))).await;
    assert_eq!(world.all("", "pods").iter().map(name).collect::<Vec<_>>(), ["web-0"]);
    world.pass(1).await;
    world.pass(1).await;
    let set = || world.get("apps", "statefulsets", "web").unwrap();
    assert_eq!((number(&set(), "/status/readyReplicas"), number(&set(), "/status/updatedReplicas")), (2, 2));
    assert_eq!(text(&set(), "/status/currentRevision"), text(&set(), "/status/updateRevision"));
    world.change("apps", "statefulsets", "web", image("img:2")).await;
    let set = |world: &World| world.get("apps", "statefulsets", "web").unwrap();
    assert_ne!(text(&set(&world), "/status/currentRevision"), text(&set(&world), "/status/updateRevision"));
    let image_of =
        |world: &World, pod: &str| world.get("", "pods", pod).map(|p| p["spec"]["containers"][0]["image"].clone());
    assert_eq!((image_of(&world, "web-0"), image_of(&world, "web-1")), (Some(json!("img:1")), Some(json!("img:2"))));
    for _ in 0..4 {
        world.pass(1).await;
    }
    assert_eq!(image_of(&world, "web-0"), Some(json!("img:2")));
    assert_eq!(text(&set(&world), "/status/currentRevision"), text(&set(&world), "/status/updateRevision"));
}

#[tokio::test]
async fn a_daemon_set_has_one_pod_and_renews_it() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(workload("DaemonSet", "apps", "img:1", &json!({}))).await;
    let counts = |world: &World| {
        let set = world.get("apps", "daemonsets", "web").unwrap();
        ["desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberReady", "numberAvailable"]
            .map(|field| number(&set, &format!("/status/{field}")))
    };
    assert_eq!(counts(&world), [1; 5]);
    world.change("apps", "daemonsets", "web", image("img:2")).await;
    assert_eq!(counts(&world), [1; 5]);
    assert_eq!(world.all("", "pods")[0]["spec"]["containers"][0]["image"], "img:2");
    let spec = |o: &mut Value| o["spec"]["template"]["spec"]["nodeSelector"] = json!({"gpu": "yes"});
    world.change("apps", "daemonsets", "web", spec).await;
    assert_eq!(counts(&world), [0; 5]);
}

#[tokio::test]
async fn a_job_completes_and_one_that_crashes_fails() {
    let mut world = World::new(SignedDuration::ZERO).await;
    let mut job =
        workload("Job", "batch", "img:1", &json!({"completions": 3, "parallelism": 2, "ttlSecondsAfterFinished": 60}));
    job["spec"].as_object_mut().unwrap().remove("selector");
    job["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    let mut bad = job.clone();
    bad["metadata"]["name"] = json!("bad");
    bad["spec"]["template"]["spec"]["containers"][0]["image"] = json!("img:crash");
    bad["spec"]["backoffLimit"] = json!(1);
    world.create(job).await;
    let done = world.get("batch", "jobs", "web").unwrap();
    assert!(is_true(&done, "Complete") && number(&done, "/status/succeeded") == 3, "{done:#}");
    let pods = world.all("", "pods");
    assert!(
        pods.iter()
            .all(|pod| pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"] == done["metadata"]["uid"])
    );
    world.create(bad).await;
    let bad = world.get("batch", "jobs", "bad").unwrap();
    assert_eq!(reason(&bad, "Failed"), "BackoffLimitExceeded");
    world.pass(60).await;
    assert!(world.all("batch", "jobs").is_empty() && world.all("", "pods").is_empty(), "their time to live is over");
}

#[tokio::test]
async fn a_service_follows_its_pods_and_a_claim_is_bound() {
    let mut world = World::new(SignedDuration::ZERO).await;
    let ports = json!([{"name": "web", "port": 80, "targetPort": "http", "protocol": "TCP"}]);
    let spec = json!({"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports});
    world
        .create(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "d"}, "spec": spec}),
        )
        .await;
    world.create(deployment("img:1", &json!({"replicas": 2}))).await;
    let service = world.get("", "services", "web").unwrap();
    assert!(text(&service, "/spec/clusterIP").starts_with("10.96."));
    assert!(text(&service, "/status/loadBalancer/ingress/0/ip").starts_with("192.0.2."));
    let endpoints = world.get("", "endpoints", "web").unwrap();
    assert_eq!(list(&endpoints, "/subsets/0/addresses").len(), 2);
    assert_eq!(endpoints["subsets"][0]["ports"][0], json!({"name": "web", "port": 8080, "protocol": "TCP"}));
    world.change("apps", "deployments", "web", |o| o["spec"]["replicas"] = json!(1)).await;
    let slices = world.all("discovery.k8s.io", "endpointslices");
    assert_eq!(list(&slices[0], "/endpoints").len(), 1);
    world.delete(&service, false).await;
    assert!(world.all("", "endpoints").is_empty() && world.all("discovery.k8s.io", "endpointslices").is_empty());
    let spec = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}});
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c", "namespace": "d"}, "spec": spec});
    world.create(claim).await;
    let claim = world.get("", "persistentvolumeclaims", "c").unwrap();
    assert_eq!((text(&claim, "/status/phase"), text(&claim, "/status/capacity/storage")), ("Bound", "1Gi"));
    assert!(!text(&claim, "/spec/volumeName").is_empty());
}

#[tokio::test]
async fn controllers_own_what_they_write_and_nothing_else() {
    let mut world = World::new(SignedDuration::ZERO).await;
    world.create(deployment("img:1", &json!({"replicas": 1}))).await;
    let fields = world.deployment()["metadata"]["managedFields"].clone();
    let of = |manager: &str| {
        fields.as_array().unwrap().iter().filter(|f| f["manager"] == manager).cloned().collect::<Vec<_>>()
    };
    assert!(of("person")[0]["fieldsV1"]["f:spec"].is_object());
    let ours = of("kube-controller-manager");
    assert!(ours.iter().any(|f| f["subresource"] == "status" && f["fieldsV1"]["f:status"].is_object()), "{ours:#?}");
    assert!(ours.iter().all(|f| f["fieldsV1"].get("f:spec").is_none()), "{ours:#?}");
}

#[tokio::test(start_paused = true)]
async fn the_loop_waits_on_the_clock_of_tokio() {
    let (begin, epoch) = (tokio::time::Instant::now(), "2026-11-21T06:00:00Z".parse::<Timestamp>().unwrap());
    let now: Clock = Arc::new(move || epoch.checked_add(SignedDuration::try_from(begin.elapsed()).unwrap()).unwrap());
    let core = Arc::new(Core::open("paused", None, now).unwrap());
    let store = core.store().clone();
    let person = Writer::new(Arc::clone(&core), "person");
    for object in [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d"}}),
        deployment("img:broken", &json!({"replicas": 2, "progressDeadlineSeconds": 100})),
    ] {
        person.write(Write::Create(object)).unwrap();
    }
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(core, Latency { start: SignedDuration::from_secs(3) }, stop.clone()));
    let key = Key::new(&Resource::new("apps", "deployments"), "d", "web");
    let mut changes = store.changes(Some(key.resource.clone()), 0);
    while store.get(&key).is_none_or(|object| reason(&object, "Progressing") != "ProgressDeadlineExceeded") {
        changes.next().await.unwrap();
    }
    assert!((100..=110).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    stop.cancel();
    task.await.unwrap();
    assert!(revision_of(&store.get(&key).unwrap()) > 0);
}

/// Anything where a map, a list or a number is expected.
fn odd() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::prelude::*;
    prop_oneof![
        Just(Value::Null),
        Just(json!("x")),
        Just(json!([1, "a", null])),
        Just(json!({"a": "b"})),
        Just(json!(i64::MAX)),
        Just(json!(-7)),
        Just(json!(true)),
    ]
}

const PATHS: [&str; 16] = [
    "/metadata",
    "/metadata/labels",
    "/metadata/annotations",
    "/metadata/ownerReferences",
    "/metadata/finalizers",
    "/spec",
    "/spec/replicas",
    "/spec/selector",
    "/spec/template",
    "/spec/template/metadata",
    "/spec/template/metadata/labels",
    "/spec/template/spec",
    "/spec/template/spec/containers",
    "/spec/template/spec/containers/0",
    "/status",
    "/spec/strategy",
];

proptest::proptest! {
    #[test]
    fn no_malformed_object_makes_a_step_fall(at in 0usize..16, other in 0usize..16, value in odd(), second in odd()) {
        let mut object = deployment("img:crash", &json!({"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": "999999999%"}}}));
        for (path, value) in [(PATHS[at], value), (PATHS[other], second)] {
            if let Some(place) = object.pointer_mut(path) {
                *place = value;
            }
        }
        let now = Timestamp::UNIX_EPOCH;
        let pods = [&object];
        let pod = json!({"kind": "Pod", "metadata": object["metadata"], "spec": object["spec"]["template"]["spec"], "status": object["status"]});
        let _ = super::deployment::step(&object, &pods, now);
        let _ = replica_set::step(&object, &[&pod], now);
        let _ = stateful_set::step(&object, &[&pod], now);
        let _ = daemon_set::step(&object, &[&pod], now);
        let _ = job::step(&object, &[&pod], now);
        let _ = pod::step(&pod, &Latency::default(), now);
        let _ = service::step(&object, &[&pod], &[&object]);
        let _ = service::claim(&object);
        let all = crate::apiserver::kinds::Kinds::builtin();
        for kind in all.iter() {
            let columns = crate::apiserver::table::Columns::of(kind);
            let header = crate::apiserver::table::Header::Omitted;
            let _ = crate::apiserver::table::table(&columns, [&object, &pod], &json!({}), header, crate::apiserver::table::Include::Nothing, now);
        }
    }
}

#[tokio::test]
async fn a_workload_costs_few_writes() {
    let mut world = World::new(SignedDuration::ZERO).await;
    let before = world.revision();
    world.create(deployment("img:1", &json!({"replicas": 2}))).await;
    let writes = world.revision() - before;
    assert!(writes <= 24, "{writes} writes for one deployment with two pods");
}

/// Asks for the next step whenever it took one, and is told to stop with the third.
struct Restless(Mutex<u32>, CancellationToken);

impl Controller for Restless {
    fn concerns(&self, _: &Change, _: &View) -> Vec<String> {
        Vec::new()
    }

    fn step(&self, _: &str, _: &View, now: Timestamp) -> Steps {
        let mut taken = self.0.lock().unwrap();
        *taken += 1;
        if *taken == 3 {
            self.1.cancel();
        }
        assert!(*taken <= 3, "it goes on after it was told to stop");
        Steps { writes: Vec::new(), again: Some(now) }
    }
}

#[tokio::test]
async fn who_is_told_to_stop_leaves_what_is_due() {
    let world = World::new(SignedDuration::ZERO).await;
    let stop = CancellationToken::new();
    let restless = Restless(Mutex::new(0), stop.clone());
    Driver::new(restless, Writer::new(Arc::clone(&world.core), MANAGER)).run(stop).await;
}
