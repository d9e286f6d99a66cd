use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, pin_mut};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{
    ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, PropagationPolicy,
    WatchEvent, WatchParams,
};
use kube::core::GroupVersionKind;
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use super::delete::DeleteOptions;
use super::kinds::Resource;
use super::store::Key;
use super::*;

mod depth;
mod kubectl;

fn server() -> ApiServer {
    server_in(None)
}

fn server_in(data_dir: Option<PathBuf>) -> ApiServer {
    let now: Clock = Arc::new(|| "2026-11-21T06:00:00Z".parse().unwrap());
    ApiServer::open(Options { name: "test".to_owned(), data_dir, token: None, now, simulate_workloads: false }).unwrap()
}

fn api(client: &Client, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    let gvk = krm_gvk(api_version, kind);
    Api::default_namespaced_with(client.clone(), &ApiResource::from_gvk_with_plural(&gvk, plural))
}

fn cluster_api(client: &Client, api_version: &str, kind: &str, plural: &str) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &ApiResource::from_gvk_with_plural(&krm_gvk(api_version, kind), plural))
}

fn krm_gvk(api_version: &str, kind: &str) -> GroupVersionKind {
    let gvk = crate::domain::krm::Gvk::parse(api_version, kind);
    GroupVersionKind::gvk(&gvk.group, &gvk.version, &gvk.kind)
}

fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).unwrap()
}

fn config_map(name: &str, value: &str) -> DynamicObject {
    object(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value}}))
}

fn config_maps(client: &Client) -> Api<DynamicObject> {
    api(client, "v1", "ConfigMap", "configmaps")
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "upf"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "upf"}},
            "template": {"metadata": {"labels": {"app": "upf"}}, "spec": {"containers": [{"name": "upf", "image": image}]}}
        }
    })
}

fn deployments(client: &Client) -> Api<DynamicObject> {
    api(client, "apps/v1", "Deployment", "deployments")
}

fn status(error: kube::Error) -> kube::core::Status {
    match error {
        kube::Error::Api(status) => *status,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn objects_are_created_read_replaced_and_deleted() {
    let server = server();
    let api = config_maps(&server.client());
    let made = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert_eq!(made.namespace().as_deref(), Some("default"));
    assert_eq!(made.creation_timestamp().map(|t| t.0.to_string()).as_deref(), Some("2026-11-21T06:00:00Z"));
    assert_eq!(made.uid().unwrap().len(), 36);
    let twice = status(api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap_err());
    assert_eq!(
        (twice.code, twice.reason.as_str(), twice.message.as_str()),
        (409, "AlreadyExists", "configmaps \"a\" already exists")
    );

    let mut newer = made.clone();
    newer.data["data"]["a"] = json!("2");
    let replaced = api.replace("a", &PostParams::default(), &newer).await.unwrap();
    assert_ne!(replaced.resource_version(), made.resource_version());
    let stale = status(api.replace("a", &PostParams::default(), &newer).await.unwrap_err());
    let wanted = "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to \
                  the latest version and try again";
    assert_eq!((stale.code, stale.reason.as_str(), stale.message.as_str()), (409, "Conflict", wanted));
    let same = api.replace("a", &PostParams::default(), &replaced).await.unwrap();
    assert_eq!(same.resource_version(), replaced.resource_version(), "a write that changes nothing writes nothing");

    let gone = api.delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(gone.right().unwrap().details.unwrap().kind, "configmaps");
    let missing = status(api.get("a").await.unwrap_err());
    assert_eq!((missing.code, missing.message.as_str()), (404, "configmaps \"a\" not found"));
    assert_eq!(missing.details.unwrap().kind, "configmaps");
}

#[tokio::test]
async fn what_a_new_object_lacks_is_named() {
    let server = server();
    let client = server.client();
    let mut wrong = deployment("x");
    wrong["spec"]["template"]["spec"]["containers"][0].as_object_mut().unwrap().remove("image");
    let refused = status(deployments(&client).create(&PostParams::default(), &object(wrong)).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    let path = "spec.template.spec.containers[0].image";
    assert_eq!(refused.message, format!("Deployment.apps \"upf\" is invalid: {path}: Required value"));
    let cause = &refused.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldValueRequired", path));

    let elsewhere: Api<ConfigMap> = Api::namespaced(client, "nowhere");
    let refused = status(
        elsewhere
            .create(
                &PostParams::default(),
                &ConfigMap {
                    metadata: kube::core::ObjectMeta { name: Some("a".into()), ..Default::default() },
                    ..Default::default()
                },
            )
            .await
            .unwrap_err(),
    );
    assert_eq!((refused.code, refused.message.as_str()), (404, "namespaces \"nowhere\" not found"));
}

#[tokio::test]
async fn dry_runs_and_strict_writes_change_nothing() {
    let server = server();
    let api = deployments(&server.client());
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    let shown = api.create(&dry, &object(deployment("x"))).await.unwrap();
    assert_eq!(shown.data["spec"]["strategy"]["type"], "RollingUpdate");
    assert_eq!(api.list(&ListParams::default()).await.unwrap().items.len(), 0);
    let mut wrong = deployment("x");
    wrong["spec"]["replica"] = json!(1);
    let params =
        PatchParams { field_validation: Some(kube::api::ValidationDirective::Strict), ..PatchParams::apply("a") };
    let refused = status(api.patch("upf", &params, &Patch::Apply(&wrong)).await.unwrap_err());
    assert_eq!(refused.code, 500, "as the real server answers");
    assert!(refused.message.ends_with(".spec.replica: field not declared in schema"), "{}", refused.message);
}

#[tokio::test]
async fn two_appliers_share_an_object_and_conflict_over_a_field() {
    let server = server();
    let api = deployments(&server.client());
    let one = PatchParams::apply("one");
    let made = api.patch("upf", &one, &Patch::Apply(&deployment("upf:v1"))).await.unwrap();
    assert_eq!(made.metadata.generation, Some(1));
    let again = api.patch("upf", &one, &Patch::Apply(&deployment("upf:v1"))).await.unwrap();
    assert_eq!(again.resource_version(), made.resource_version());

    let two = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5}});
    let conflict = status(api.patch("upf", &PatchParams::apply("two"), &Patch::Apply(&two)).await.unwrap_err());
    assert_eq!((conflict.code, conflict.reason.as_str()), (409, "Conflict"));
    assert_eq!(conflict.message, "Apply failed with 1 conflict: conflict with \"one\": .spec.replicas");
    let cause = &conflict.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".spec.replicas"));
    let forced = api.patch("upf", &PatchParams::apply("two").force(), &Patch::Apply(&two)).await.unwrap();
    assert_eq!((forced.data["spec"]["replicas"].as_i64(), forced.metadata.generation), (Some(5), Some(2)));
    let managers: Vec<_> = forced.metadata.managed_fields.unwrap().into_iter().map(|m| m.manager.unwrap()).collect();
    assert_eq!(managers, ["one", "two"]);

    let unnamed = status(api.patch("upf", &PatchParams::default(), &Patch::Apply(&two)).await.unwrap_err());
    assert_eq!(unnamed.code, 422);
}

#[tokio::test]
async fn an_item_without_its_key_is_the_one_of_the_empty_key() {
    let server = server();
    let api = deployments(&server.client());
    let me = PatchParams::apply("one");
    for secret in [json!({"name": ""}), json!({}), json!({"name": ""})] {
        let mut config = deployment("upf:v1");
        config["spec"]["template"]["spec"]["imagePullSecrets"] = json!([secret]);
        let stored = api.patch("upf", &me, &Patch::Apply(&config)).await.unwrap();
        assert_eq!(stored.data["spec"]["template"]["spec"]["imagePullSecrets"], json!([{}]));
        assert_eq!(stored.metadata.generation, Some(1));
    }
    let table = [
        ("/spec/template/spec/containers/0", json!({"image": "a"}), "containers[0].name"),
        ("/spec/template/spec/containers/0/env", json!([{"value": "a"}]), "containers[0].env[0].name"),
        ("/spec/template/spec/containers/0/ports", json!([{}]), "containers[0].ports[0].containerPort"),
        ("/spec/template/spec/volumes", json!([{"emptyDir": {}}]), "volumes[0].name"),
    ];
    for (place, value, field) in table {
        let mut config = deployment("upf:v1");
        let (parent, name) = place.rsplit_once('/').unwrap();
        match config.pointer_mut(parent).unwrap() {
            Value::Array(items) => items[0] = value,
            fields => fields[name] = value,
        }
        let refused = status(api.patch("upf", &me, &Patch::Apply(&config)).await.unwrap_err());
        let wanted = format!("Deployment.apps \"upf\" is invalid: spec.template.spec.{field}: Required value");
        assert_eq!((refused.code, refused.message), (422, wanted));
    }
}

#[tokio::test]
async fn the_other_patches_patch() {
    let server = server();
    let client = server.client();
    let api = deployments(&client);
    api.create(&PostParams::default(), &object(deployment("upf:v1"))).await.unwrap();
    let strategic = json!({"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:v1"}]}}}});
    let patched = api.patch("upf", &PatchParams::default(), &Patch::Strategic(&strategic)).await.unwrap();
    assert_eq!(patched.data["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 2);
    let merge = json!({"spec": {"replicas": null}, "metadata": {"labels": {"a": "b"}}});
    let patched = api.patch("upf", &PatchParams::default(), &Patch::Merge(&merge)).await.unwrap();
    assert_eq!((patched.data["spec"]["replicas"].as_i64(), patched.labels()["a"].as_str()), (Some(1), "b"));
    let steps: json_patch::Patch =
        serde_json::from_value(json!([{"op": "test", "path": "/spec/replicas", "value": 9}])).unwrap();
    let refused = status(api.patch("upf", &PatchParams::default(), &Patch::Json::<()>(steps)).await.unwrap_err());
    assert_eq!(refused.code, 422);
    let status = json!({"status": {"replicas": 7}});
    let patched = api.patch("upf", &PatchParams::default(), &Patch::Merge(&status)).await.unwrap();
    assert_ne!(patched.data["status"]["replicas"], 7, "only the subresource writes the status");
    let patched = api
        .patch_status(
            "upf",
            &PatchParams::default(),
            &Patch::Merge(&json!({"status": {"replicas": 7}, "spec": {"replicas": 9}})),
        )
        .await
        .unwrap();
    assert_eq!((&patched.data["status"]["replicas"], &patched.data["spec"]["replicas"]), (&json!(7), &json!(1)));
    let generation = patched.metadata.generation;
    let scaled = api
        .patch_scale("upf", &PatchParams::default(), &Patch::Merge(&json!({"spec": {"replicas": 4}})))
        .await
        .unwrap();
    assert_eq!((scaled.spec.unwrap().replicas, scaled.status.unwrap().selector.as_deref()), (Some(4), Some("app=upf")));
    assert_eq!(api.get("upf").await.unwrap().metadata.generation, generation.map(|g| g + 1));
}

#[tokio::test]
async fn lists_are_selected_and_paged_as_of_their_first_page() {
    let server = server();
    let api = config_maps(&server.client());
    for n in 0..7 {
        let mut map = config_map(&format!("m{n}"), "1");
        map.labels_mut().insert("odd".to_owned(), (n % 2 == 1).to_string());
        api.create(&PostParams::default(), &map).await.unwrap();
    }
    let odd = api.list(&ListParams::default().labels("odd in (true)")).await.unwrap();
    assert_eq!(odd.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["m1", "m3", "m5"]);
    let one = api.list(&ListParams::default().fields("metadata.name=m4")).await.unwrap();
    assert_eq!(one.items.len(), 1);

    let first = api.list(&ListParams::default().limit(3)).await.unwrap();
    assert_eq!((first.items.len(), first.metadata.remaining_item_count), (3, Some(4)));
    api.delete("m4", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let second = api.list(&ListParams::default().limit(30).continue_token(&token)).await.unwrap();
    assert_eq!(second.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["m3", "m4", "m5", "m6"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);

    server.core().store().compact();
    let expired = status(api.list(&ListParams::default().limit(3).continue_token(&token)).await.unwrap_err());
    assert_eq!((expired.code, expired.reason.as_str()), (410, "Expired"));
    let go_on = expired.metadata.unwrap().continue_.unwrap();
    let rest = api.list(&ListParams::default().continue_token(&go_on)).await.unwrap();
    assert_eq!(rest.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["m3", "m5", "m6"]);
}

#[tokio::test(start_paused = true)]
async fn watches_follow_from_a_revision_and_say_when_they_are_too_late() {
    let server = server();
    let api = config_maps(&server.client());
    let made = api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let from = made.resource_version().unwrap();
    let mut map = made.clone();
    map.labels_mut().insert("x".to_owned(), "y".to_owned());
    api.replace("a", &PostParams::default(), &map).await.unwrap();
    api.delete("a", &DeleteParams::default()).await.unwrap();

    let events = |stream: Vec<WatchEvent<DynamicObject>>| -> Vec<String> {
        let one = |event: WatchEvent<DynamicObject>| match event {
            WatchEvent::Added(o) => format!("added {}", o.name_any()),
            WatchEvent::Modified(o) => format!("modified {}", o.name_any()),
            WatchEvent::Deleted(o) => format!("deleted {}", o.name_any()),
            WatchEvent::Bookmark(b) => format!("bookmark {}", b.metadata.resource_version),
            WatchEvent::Error(e) => format!("error {} {}", e.code, e.reason),
        };
        stream.into_iter().map(one).collect()
    };
    let params = WatchParams::default().timeout(5).disable_bookmarks();
    let all = api.watch(&params, &from).await.unwrap().try_collect().await.unwrap();
    assert_eq!(events(all), ["modified a", "deleted a"]);
    let labelled = params.clone().labels("x=y");
    let seen = api.watch(&labelled, &from).await.unwrap().try_collect().await.unwrap();
    assert_eq!(events(seen), ["added a", "deleted a"]);
    let (params70, current) = (WatchParams::default().timeout(70), server.core().store().revision().to_string());
    let seen = api.watch(&params70, &current).await.unwrap().try_collect().await.unwrap();
    assert_eq!(events(seen), [format!("bookmark {}", server.core().store().revision())]);

    server.core().store().compact();
    let late = api.watch(&params, &from).await.unwrap().try_collect().await.unwrap();
    assert_eq!(events(late), ["error 410 Expired"]);
    let future: Vec<WatchEvent<DynamicObject>> =
        api.watch(&params, "999999").await.unwrap().try_collect().await.unwrap();
    assert!(future.is_empty(), "a watch from the future waits for it");
}

#[tokio::test]
async fn finalizers_hold_and_preconditions_protect() {
    let server = server();
    let api = config_maps(&server.client());
    let mut map = config_map("a", "1");
    map.finalizers_mut().push("loggia.dev/hold".to_owned());
    let made = api.create(&PostParams::default(), &map).await.unwrap();
    let wrong = DeleteParams::default()
        .preconditions(kube::api::Preconditions { uid: Some("other".into()), resource_version: None });
    let refused = status(api.delete("a", &wrong).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    let held = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(held.metadata.deletion_timestamp.is_some());
    let again = api.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(again.resource_version(), held.resource_version());
    let more = json!({"metadata": {"finalizers": ["loggia.dev/hold", "loggia.dev/late"]}});
    let refused = status(api.patch("a", &PatchParams::default(), &Patch::Merge(&more)).await.unwrap_err());
    assert_eq!(refused.code, 422);
    let none = json!({"metadata": {"finalizers": null}});
    api.patch("a", &PatchParams::default(), &Patch::Merge(&none)).await.unwrap();
    assert!(api.get_opt("a").await.unwrap().is_none());
    assert_ne!(api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap().uid(), made.uid());
}

/// What follows from each object that goes is not done within what follows from the one before it.
#[test]
fn a_namespace_and_a_kind_with_much_in_them_go() {
    let server = Core::open("t", None, Arc::new(crate::domain::time::Timestamp::now)).unwrap();
    let writer = Writer::named("test");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things.x.y"},
        "spec": {
            "group": "x.y", "scope": "Namespaced", "names": {"kind": "Thing", "plural": "things", "singular": "thing"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {"type": "object"}}}],
        },
    });
    let definition = server.create(definition, &writer).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "core"}});
    let namespace = server.create(namespace, &writer).unwrap();
    for number in 0..2000 {
        let metadata = json!({"name": format!("n-{number}"), "namespace": "core"});
        server.create(json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}), &writer).unwrap();
        let metadata = json!({"name": format!("n-{number}"), "namespace": "default"});
        server.create(json!({"apiVersion": "x.y/v1", "kind": "Thing", "metadata": metadata}), &writer).unwrap();
    }
    for (gone, resource) in
        [(&namespace, Resource::new("", "configmaps")), (&definition, Resource::new("x.y", "things"))]
    {
        server.delete_object(&gone.object, &DeleteOptions::default()).unwrap();
        assert_eq!(server.store().list(&resource, None).objects.len(), 0, "{resource}");
    }
    assert!(server.store().get(&Key::of_namespace("core")).is_none());
    assert!(server.store().get(&Key::new(&core::crds(), "", "things.x.y")).is_none());
}

#[tokio::test]
async fn a_namespace_goes_after_its_content() {
    let server = server();
    let client = server.client();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let names: Vec<String> =
        namespaces.list(&ListParams::default()).await.unwrap().iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let core = Namespace {
        metadata: kube::core::ObjectMeta { name: Some("core".into()), ..Default::default() },
        ..Default::default()
    };
    let made = namespaces.create(&PostParams::default(), &core).await.unwrap();
    assert_eq!(made.labels()["kubernetes.io/metadata.name"], "core");
    let inside: Api<DynamicObject> = Api::namespaced_with(client, "core", &ApiResource::erase::<ConfigMap>(&()));
    inside.create(&PostParams::default(), &config_map("free", "1")).await.unwrap();
    let mut held = config_map("held", "1");
    held.finalizers_mut().push("loggia.dev/hold".to_owned());
    inside.create(&PostParams::default(), &held).await.unwrap();

    namespaces.delete("core", &DeleteParams::default()).await.unwrap();
    let going = namespaces.get("core").await.unwrap().status.unwrap();
    assert_eq!(going.phase.as_deref(), Some("Terminating"));
    assert_eq!(going.conditions.unwrap()[0].type_, "NamespaceContentRemaining");
    let refused = status(inside.create(&PostParams::default(), &config_map("late", "1")).await.unwrap_err());
    let wanted = "configmaps \"late\" is forbidden: unable to create new content in namespace core because it is being terminated";
    assert_eq!((refused.code, refused.message.as_str()), (403, wanted));
    assert_eq!(inside.list(&ListParams::default()).await.unwrap().items.len(), 1);
    inside
        .patch("held", &PatchParams::default(), &Patch::Merge(&json!({"metadata": {"finalizers": []}})))
        .await
        .unwrap();
    assert!(namespaces.get_opt("core").await.unwrap().is_none());
}

fn crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.loggia.dev"},
        "spec": {
            "group": "loggia.dev", "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["size"], "properties": {
                        "size": {"type": "integer", "minimum": 1}, "mode": {"type": "string", "default": "fast"}}},
                    "status": {"type": "object", "properties": {"ready": {"type": "boolean"}}}}}}}]
        }
    })
}

fn widget(spec: &Value) -> DynamicObject {
    object(json!({"apiVersion": "loggia.dev/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}))
}

#[tokio::test]
async fn a_crd_brings_a_kind_with_defaults_pruning_and_rules() {
    let server = server();
    let client = server.client();
    let crds = cluster_api(&client, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
    let widgets = api(&client, "loggia.dev/v1", "Widget", "widgets");
    let early = status(widgets.list(&ListParams::default()).await.unwrap_err());
    assert_eq!((early.code, early.message.trim()), (404, "404 page not found"));
    crds.patch("widgets.loggia.dev", &PatchParams::apply("t"), &Patch::Apply(&crd())).await.unwrap();
    let conditions = crds.get("widgets.loggia.dev").await.unwrap().data["status"]["conditions"].clone();
    assert!(conditions.as_array().unwrap().iter().any(|c| c["type"] == "Established" && c["status"] == "True"));

    let made = widgets.create(&PostParams::default(), &widget(&json!({"size": 2, "other": 1}))).await.unwrap();
    assert_eq!(made.data["spec"], json!({"size": 2, "mode": "fast"}));
    let refused = status(
        widgets.patch("w", &PatchParams::default(), &Patch::Merge(&json!({"spec": {"size": 0}}))).await.unwrap_err(),
    );
    let wanted = "Widget.loggia.dev \"w\" is invalid: spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1";
    assert_eq!((refused.code, refused.message.as_str()), (422, wanted));
    let blind = status(widgets.replace("w", &PostParams::default(), &widget(&json!({"size": 3}))).await.unwrap_err());
    assert!(blind.message.contains("metadata.resourceVersion"), "{}", blind.message);
    let ready = json!({"status": {"ready": true}, "spec": {"size": 9}});
    let patched = widgets.patch_status("w", &PatchParams::default(), &Patch::Merge(&ready)).await.unwrap();
    assert_eq!((&patched.data["status"]["ready"], &patched.data["spec"]["size"]), (&json!(true), &json!(2)));
    assert_eq!(patched.metadata.generation, Some(1));

    crds.delete("widgets.loggia.dev", &DeleteParams::default()).await.unwrap();
    assert_eq!(status(widgets.get("w").await.unwrap_err()).code, 404);
    crds.create(&PostParams::default(), &object(crd())).await.unwrap();
    assert_eq!(widgets.list(&ListParams::default()).await.unwrap().items.len(), 0, "its objects went with it");
}

/// Watches of a version that is not stored show it as its schema is at the time, be they open or new.
#[tokio::test]
async fn watches_show_a_version_as_its_schema_is_now() {
    let definition = |old: Value| {
        let mut crd = crd();
        let versions = crd["spec"]["versions"].as_array_mut().unwrap();
        let mut second = versions[0].clone();
        second["name"] = json!("v1beta1");
        second["storage"] = json!(false);
        second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"] = old;
        versions.push(second);
        crd
    };
    let server = server();
    let client = server.client();
    let crds = cluster_api(&client, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
    let (size, mode) = (json!({"size": {"type": "integer"}}), json!({"mode": {"type": "string"}}));
    crds.patch("widgets.loggia.dev", &PatchParams::apply("t"), &Patch::Apply(&definition(size))).await.unwrap();
    let widgets = api(&client, "loggia.dev/v1", "Widget", "widgets");
    widgets.create(&PostParams::default(), &widget(&json!({"size": 2}))).await.unwrap();
    let old = api(&client, "loggia.dev/v1beta1", "Widget", "widgets");
    let parameters = WatchParams::default().disable_bookmarks();
    let next =
        async |watch: &mut (dyn futures::Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Unpin + Send)| {
            match watch.next().await.unwrap().unwrap() {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => object.data["spec"].clone(),
                other => panic!("{other:?}"),
            }
        };
    let mut open = old.watch(&parameters, "0").await.unwrap().boxed();
    assert_eq!(next(&mut open).await, json!({"size": 2}));
    crds.patch("widgets.loggia.dev", &PatchParams::apply("t"), &Patch::Apply(&definition(mode))).await.unwrap();
    let mut new = old.watch(&parameters, "0").await.unwrap().boxed();
    assert_eq!(next(&mut new).await, json!({"mode": "fast"}));
    widgets.patch("w", &PatchParams::default(), &Patch::Merge(&json!({"spec": {"size": 3}}))).await.unwrap();
    assert_eq!(next(&mut open).await, json!({"mode": "fast"}));
}

#[tokio::test]
async fn a_reopened_server_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (revision, kept) = {
        let server = server_in(Some(dir.path().to_owned()));
        let client = server.client();
        let crds =
            cluster_api(&client, "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions");
        crds.create(&PostParams::default(), &object(crd())).await.unwrap();
        let widgets = api(&client, "loggia.dev/v1", "Widget", "widgets");
        let kept = widgets.create(&PostParams::default(), &widget(&json!({"size": 2}))).await.unwrap();
        drop((client, crds, widgets));
        (server.core().store().revision(), kept)
    };
    let server = reopen(dir.path()).await;
    assert_eq!(server.core().store().revision(), revision);
    let widgets = api(&server.client(), "loggia.dev/v1", "Widget", "widgets");
    assert_eq!(widgets.get("w").await.unwrap(), kept);
    let late = widgets.watch(&WatchParams::default(), "1").await.unwrap();
    pin_mut!(late);
    assert!(matches!(late.next().await.unwrap().unwrap(), WatchEvent::Error(e) if e.code == 410));
}

/// The client's worker task lets go of the server a moment after the client is dropped.
async fn reopen(dir: &std::path::Path) -> ApiServer {
    let now: Clock = Arc::new(|| "2026-11-21T06:00:00Z".parse().unwrap());
    loop {
        let (now, data_dir) = (Arc::clone(&now), Some(dir.to_owned()));
        match ApiServer::open(Options {
            name: "test".to_owned(),
            data_dir,
            token: None,
            now,
            simulate_workloads: false,
        }) {
            Ok(server) => return server,
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn watchers_of_both_ways_see_the_same() {
    let server = server();
    let client = server.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    config_maps(&client).create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let stream = watcher(maps.clone(), config);
        pin_mut!(stream);
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.push(match stream.next().await.unwrap().unwrap() {
                watcher::Event::Init => "init".to_owned(),
                watcher::Event::InitApply(map) => format!("init {}", map.name_any()),
                watcher::Event::InitDone => "done".to_owned(),
                watcher::Event::Apply(map) => format!("apply {}", map.name_any()),
                watcher::Event::Delete(map) => format!("delete {}", map.name_any()),
            });
        }
        assert_eq!(seen, ["init", "init a", "done"]);
        let patch = json!({"data": {"seen": format!("{}", server.core().store().revision())}});
        maps.patch("a", &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
        assert!(matches!(stream.next().await.unwrap().unwrap(), watcher::Event::Apply(_)));
        // Far beyond the life of one watch: it is opened again where it was.
        tokio::time::sleep(Duration::from_mins(20)).await;
        maps.patch("a", &PatchParams::default(), &Patch::Merge(&json!({"data": {"late": patch["data"]["seen"]}})))
            .await
            .unwrap();
        assert!(matches!(stream.next().await.unwrap().unwrap(), watcher::Event::Apply(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_reconciles_without_sockets_under_a_paused_clock() {
    use kube::runtime::controller::{Action, Controller};
    let server = server();
    let client = server.client();
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    config_maps(&client).create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    let reconcile = |map: Arc<ConfigMap>, api: Arc<Api<ConfigMap>>| async move {
        let patch = json!({"metadata": {"labels": {"seen": "yes"}}});
        api.patch(&map.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok::<_, kube::Error>(Action::requeue(Duration::from_hours(1)))
    };
    let controller = Controller::new(maps.clone(), watcher::Config::default());
    let runs = controller.run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(maps.clone()));
    let first: Vec<_> = runs.take(3).collect().await;
    assert!(first.iter().all(Result::is_ok));
    assert_eq!(maps.get("a").await.unwrap().labels()["seen"], "yes");
}

#[tokio::test]
async fn events_have_two_names() {
    let server = server();
    let client = server.client();
    let new = api(&client, "events.k8s.io/v1", "Event", "events");
    let event = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "action": "Apply", "reason": "Applied",
        "note": "hello", "type": "Normal", "reportingController": "loggia", "reportingInstance": "loggia-0",
        "eventTime": "2026-11-21T06:00:00.000000Z", "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}});
    new.create(&PostParams::default(), &object(event)).await.unwrap();
    let old = api(&client, "v1", "Event", "events");
    let found = old.list(&ListParams::default().fields("involvedObject.name=p")).await.unwrap();
    assert_eq!(found.items[0].data["message"], "hello");
    assert_eq!(new.get("e").await.unwrap().data["note"], "hello");
}

#[tokio::test]
async fn requests_are_counted_by_verb() {
    let server = server();
    let client = server.client();
    let api = config_maps(&client);
    api.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    api.list(&ListParams::default()).await.unwrap();
    api.get("a").await.unwrap();
    api.patch("a", &PatchParams::apply("t").force(), &Patch::Apply(&config_map("a", "2"))).await.unwrap();
    let params = DeleteParams { propagation_policy: Some(PropagationPolicy::Background), ..DeleteParams::default() };
    api.delete_collection(&params, &ListParams::default()).await.unwrap();
    let leases = self::api(&client, "coordination.k8s.io/v1", "Lease", "leases");
    leases.get_opt("l").await.unwrap();
    let expected = [("apply", 1), ("create", 1), ("deletecollection", 1), ("get", 1), ("lease/get", 1), ("list", 1)];
    assert_eq!(server.requests(), expected.into_iter().map(|(verb, n)| (verb.to_owned(), n)).collect());
}

async fn raw(server: &ApiServer, request: http::Request<kube::client::Body>) -> (u16, Value) {
    let reply = tower::ServiceExt::oneshot(server.service(), request).await.unwrap();
    let code = reply.status().as_u16();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    // What is no JSON is a text.
    let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
    (code, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
}

#[tokio::test]
async fn forms_methods_and_bodies_are_negotiated() {
    let server = server();
    let request = |method: &str, path: &str, name: &'static str, value: &str, body: &'static str| {
        let request = http::Request::builder().method(method).uri(path).header(name, value);
        request.body(kube::client::Body::from(body.as_bytes().to_vec())).unwrap()
    };
    let (code, list) = raw(
        &server,
        request("GET", "/api/v1/namespaces", "accept", "application/json;as=Table;v=v1;g=meta.k8s.io", ""),
    )
    .await;
    assert_eq!((code, &list["kind"], list["rows"].as_array().unwrap().len()), (200, &json!("Table"), 4));
    let accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let (_, list) = raw(&server, request("GET", "/api/v1/namespaces?limit=1", "accept", accept, "")).await;
    assert_eq!((&list["kind"], list["items"][0].get("spec")), (&json!("PartialObjectMetadataList"), None));
    let (_, list) = raw(&server, request("GET", "/api/v1/namespaces", "accept", "*/*", "")).await;
    assert_eq!((&list["kind"], list["items"][0].get("kind")), (&json!("NamespaceList"), None));
    let table = [
        ("GET", "/api/v1/namespaces", "accept", "text/html", "", 406),
        ("PUT", "/api/v1/namespaces", "accept", "*/*", "{}", 405),
        ("POST", "/api/v1/configmaps", "accept", "*/*", "{}", 405),
        ("POST", "/api/v1/namespaces", "content-type", "application/vnd.kubernetes.protobuf", "x", 400),
        ("POST", "/api/v1/namespaces", "content-type", "application/json", "{", 400),
        ("POST", "/api/v1/namespaces", "content-type", "application/json", "[]", 400),
        ("PATCH", "/api/v1/namespaces/default", "content-type", "text/plain", "{}", 415),
    ];
    for (method, path, name, value, body, expected) in table {
        let (code, status) = raw(&server, request(method, path, name, value, body)).await;
        assert_eq!(
            (code, &status["kind"], status["code"].as_u64()),
            (expected, &json!("Status"), Some(u64::from(expected))),
            "{method} {path}"
        );
    }
    let nowhere = raw(&server, request("GET", "/nowhere", "accept", "*/*", "")).await;
    assert_eq!(nowhere, (404, json!("404 page not found\n")));
    let large = vec![b' '; MAX_BODY + 1];
    let request = http::Request::builder()
        .method("POST")
        .uri("/api/v1/namespaces")
        .body(kube::client::Body::from(large))
        .unwrap();
    assert_eq!(raw(&server, request).await.0, 413);
}
