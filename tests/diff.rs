//! What people see of a change before it is made, and what is left alone.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/git.rs"]
mod git;

use std::process::{Command, Stdio};

use desk::{Desk, example};
use loggia::domain::krm::{Gvk, Object, ObjectId};
use serde_json::{Value, json};

async fn deployment(desk: &Desk, edge: usize) -> Value {
    let live = desk.edges[edge].get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await.unwrap();
    live.map_or(Value::Null, Object::into_value)
}

/// Scales as an autoscaler does: by another manager.
async fn scale(desk: &Desk, edge: usize, replicas: u32) {
    let kind = Gvk::new("apps", "v1", "Deployment");
    let name = ("core".to_owned(), "upf-edge".to_owned());
    let id = ObjectId { group: "apps".to_owned(), kind: "Deployment".to_owned(), namespace: name.0, name: name.1 };
    let patch = json!({"spec": {"replicas": replicas}});
    desk.edges[edge].merge(None, &kind, &id, "", &patch).await.unwrap();
}

/// The example with more memory.
fn changed() -> String {
    let changed = example("upf-edge.yaml").replace("memory: 4Gi", "memory: 5Gi");
    assert_ne!(changed, example("upf-edge.yaml"));
    changed
}

fn with_annotations(text: &str, annotations: &str) -> String {
    let changed = text.replace("  name: upf-edge\n", &format!("  name: upf-edge\n  annotations:\n{annotations}"));
    assert_ne!(changed, text);
    changed
}

/// A field that an intent leaves to others is neither set back nor told, and survives a change of something else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_is_left_to_others_stays_as_they_want_it() {
    let desk = Desk::new().await;
    let ignoring = with_annotations(&example("upf-edge.yaml"), "    loggia.dev/ignore-fields: /spec/replicas\n");
    desk.commit("intents/upf-edge.yaml", &ignoring);
    desk.approve("1").await;
    desk.eventually("v1 is settled", async || desk.summary().await == "settled").await;
    assert_eq!(deployment(&desk, 0).await["spec"]["replicas"], 2, "a new object gets what is declared");
    scale(&desk, 0, 3).await;
    let checkout = desk.checkout.to_str().unwrap().to_owned();
    let (code, told) = desk.loggia(&["diff", &checkout]);
    assert_eq!(code, 0, "{told}");
    // Something else changes: the rollout that follows would set it back.
    let more = with_annotations(&changed(), "    loggia.dev/ignore-fields: /spec/replicas\n");
    desk.commit("intents/upf-edge.yaml", &more);
    desk.approve("2").await;
    desk.eventually("v2 is settled", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["revision"] == "v2" && sync["status"]["summary"] == "settled"
    })
    .await;
    assert_eq!(deployment(&desk, 0).await["spec"]["replicas"], 3);
    desk.world.stop().await.unwrap();
}

/// The unified form is what `patch` takes: applied to what is there it gives what will be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_objects_are_shown_beside_each_other() {
    let desk = Desk::settled().await;
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap(), "-o", "unified"]);
    assert_eq!((code, told.as_str()), (0, ""));
    std::fs::write(desk.checkout.join("intents/upf-edge.yaml"), changed()).unwrap();
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap(), "-o", "unified"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.starts_with("# default/upf-edge on edge-1, edge-2\n--- "), "{told}");
    let (minus, plus): (Vec<&str>, Vec<&str>) =
        told.lines().filter(|line| line.starts_with(['-', '+'])).partition(|line| line.starts_with('-'));
    assert_eq!(minus.len(), plus.len(), "{told}");
    let confirmed = desk.loggia(&["diff", desk.checkout.to_str().unwrap(), "-o", "unified", "--server-side"]);
    assert_eq!(confirmed, (1, told.clone()), "the targets say the same");
    // Any tool that reads unified differences reads it.
    let stat =
        Command::new("git").args(["apply", "--numstat", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut stat = stat.unwrap();
    std::io::Write::write_all(&mut stat.stdin.take().unwrap(), told.as_bytes()).unwrap();
    let counted = stat.wait_with_output().unwrap();
    assert!(counted.status.success() && !counted.stdout.is_empty(), "{told}");
    let (code, told) = desk.loggia(&["get", "syncs", "-o", "unified"]);
    assert!(code == 2 && told.contains("unified"), "{told}");
    desk.world.stop().await.unwrap();
}

/// A Sync of a package that nobody derived: its repository takes no deployments, and people decide there all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_package_that_is_applied_as_it_is_can_be_approved() {
    let desk = Desk::new().await;
    let sync = |revision: &str| {
        format!(
            "apiVersion: loggia.dev/v1alpha1\nkind: Sync\nmetadata:\n  name: web\n  namespace: default\nspec:\n  package: \
             {{repository: blueprints, name: web, revision: {revision}}}\n  targets: {{names: [edge-1]}}\n  ignore: \
             [{{kind: Deploymnt, fields: [$.spec.replicas]}}]\n"
        )
    };
    let status = async || desk.get("loggia.dev", "v1alpha1", "Sync", "web").await["status"].clone();
    desk.commit("intents/web.yaml", &sync("v1"));
    // Nobody rendered it: its objects have no namespace.
    desk.eventually("its plan is told", async || status().await.to_string().contains("says no namespace")).await;
    let name = |file: &str| desk.dir.path().join("blueprints/web").join(file);
    git::git(desk.dir.path(), &["clone", "-q", desk.world.repository("blueprints").to_str().unwrap(), "blueprints"]);
    for file in ["service.yaml", "deployment.yaml"] {
        let text = std::fs::read_to_string(name(file)).unwrap().replacen(
            "metadata:\n",
            "metadata:\n  namespace: default\n",
            1,
        );
        std::fs::write(name(file), text).unwrap();
    }
    let blueprints = desk.dir.path().join("blueprints");
    git::git(&blueprints, &["commit", "-qam", "A namespace"]);
    git::git(&blueprints, &["tag", "web/v2"]);
    git::git(&blueprints, &["push", "-q", "origin", "HEAD:main", "web/v2"]);
    desk.commit("intents/web.yaml", &sync("v2"));
    let listed = async || desk.loggia(&["get", "proposals"]).1.contains("Apply web v2");
    desk.eventually("its plan is proposed", listed).await;
    let number = status().await["proposal"].to_string();
    desk.approve(&number).await;
    desk.eventually("it is settled", async || status().await["summary"] == "settled").await;
    let (code, told) = desk.loggia(&["plan", "web"]);
    assert!(
        code == 0 && told.contains("spec.ignore[0] is about no object of the package: kind \"Deploymnt\""),
        "{told}"
    );
    desk.world.stop().await.unwrap();
}
