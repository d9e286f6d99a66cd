//! Bad input and bad luck, against the whole product: a clear word, and nothing is lost.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/git.rs"]
mod git;

use std::time::Duration;

use desk::{Desk, example};
use git::git;
use loggia::cluster::Apply;
use loggia::domain::krm::{Gvk, Object};
use serde_json::{Value, json};

/// A commit that cannot be read says where and why, all at once; what was there before stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_that_cannot_be_read_withdraws_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    std::fs::create_dir_all(desk.checkout.join("intents")).unwrap();
    std::fs::write(desk.checkout.join("intents/broken.yaml"), "kind: CNFDeployment\n  spec: {\n").unwrap();
    let twice = example("upf-edge.yaml").replace("  replicas: 2\n", "  replicas: 2\n  replicas: 3\n");
    desk.commit("intents/twice.yaml", &twice);
    desk.eventually("both files are named", async || {
        let (ready, message) = desk.repository("intents").await;
        ready == "False" && message.contains("intents/broken.yaml:") && message.contains("intents/twice.yaml:")
    })
    .await;
    let (_, message) = desk.repository("intents").await;
    assert!(message.contains("replicas"), "the key that is there twice is named: {message}");
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("broken.yaml:") && told.contains("twice.yaml:"), "{told}");
    assert_ne!(desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await, Value::Null);
    assert_eq!(desk.running().await, before);
    assert_eq!(desk.loggia(&["get", "proposals", "2"]).0, 2, "nothing was proposed");
    desk.world.stop().await.unwrap();
}

/// Intents can be handed over without Git; what Git owns cannot be changed that way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_applied_without_git_waits_for_approval_and_does_not_fight_git() {
    let desk = Desk::new().await;
    let folder = desk.dir.path().join("folder");
    std::fs::create_dir_all(folder.join("intents")).unwrap();
    std::fs::write(folder.join("intents/upf.yaml"), example("upf-edge.yaml")).unwrap();
    let path = folder.to_str().unwrap();
    let (code, told) = desk.loggia(&["apply", path, "--dry-run"]);
    assert!(code == 0 && told.contains("would be applied"), "{code} {told}");
    assert_eq!(desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await, Value::Null);
    let (code, told) = desk.loggia(&["apply", path]);
    assert!(code == 0 && told.contains("CNFDeployment.nephoran.com/default/upf-edge applied"), "{code} {told}");
    desk.approve("1").await;

    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("Git owns it", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent.pointer("/metadata/annotations/loggia.dev~1source").is_some()
    })
    .await;
    std::fs::write(folder.join("intents/upf.yaml"), example("upf-edge-broken.yaml")).unwrap();
    let (code, told) = desk.loggia(&["apply", path]);
    assert!(code == 2 && told.contains("upf.yaml:2") && told.contains("changed in Git"), "{code} {told}");
    desk.world.stop().await.unwrap();
}

/// Every violation at once, on the laptop and in the status; a blueprint that nobody has is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_that_asks_for_the_impossible_is_told_why() {
    let desk = Desk::new().await;
    let wrong =
        example("upf-edge.yaml").replace("function: UPF", "function: Toaster").replace("replicas: 2", "replicas: -1");
    desk.commit("intents/upf-edge.yaml", &wrong);
    let told_all = |text: &str| text.contains("function") && text.contains("replicas");
    desk.eventually("both fields are named", async || told_all(&desk.repository("intents").await.1)).await;
    let (code, told) = desk.loggia(&["plan", desk.checkout.to_str().unwrap()]);
    assert!(code == 2 && told_all(&told) && told.contains("upf-edge.yaml:"), "{code} {told}");

    desk.commit("intents/upf-edge.yaml", &wrong.replace("  replicas: -1\n", "  replicas: -1\n  bogus: 1\n"));
    let (_, told) = desk.loggia(&["validate", desk.checkout.to_str().unwrap()]);
    assert!(told_all(&told) && told.contains("spec.bogus"), "an unknown field hides no other problem: {told}");
    assert_eq!(told.matches("bogus").count(), 1, "and is told once: {told}");

    let unknown = example("upf-edge.yaml").replace("function: UPF", "function: SMF");
    desk.commit("intents/upf-edge.yaml", &unknown);
    desk.eventually("the blueprint is named", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent["status"]["phase"] == "Failed"
            && intent["status"]["message"].as_str().is_some_and(|message| message.contains("smf"))
    })
    .await;
    let refs = git(&desk.world.repository("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs, "refs/heads/main", "nothing was drafted");
    desk.world.stop().await.unwrap();
}

/// A setting that no setter of the blueprint takes is told, on the laptop and in the status; the rest goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_setting_that_does_nothing_is_told() {
    let desk = Desk::new().await;
    let typo = "    dnn: internet\n    dnm: {a: 1}\n    image: [a, b]\n";
    let intent = example("upf-edge.yaml").replace("    dnn: internet\n", typo);
    let intent = intent.replacen("    image: registry.example/upf:1.4.2\n", "", 1).replace("[a, b]", "{a: b}");
    desk.commit("intents/upf-edge.yaml", &intent);
    let told = |text: &str| {
        text.contains("spec.configuration.dnm is not used: upf/v1 has no setter for it; it has cpu, dnn, image,")
            && text.contains("spec.configuration.image is not used: a setter takes text")
            && !text.contains("spec.configuration.dnn ")
    };
    desk.eventually("the status says so", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent["status"]["message"].as_str().is_some_and(|message| told(message) && message.contains("proposal 1"))
    })
    .await;
    let (code, text) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(code == 1 && told(&text), "{code} {text}");
    desk.world.stop().await.unwrap();
}

/// A merge of a proposal to which a person added something is no approval, and is not passed over in silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_merge_with_something_added_is_no_approval() {
    let desk = Desk::new().await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("proposal 1 opens", async || desk.summary().await == "proposal 1 waits for you").await;
    let work = desk.world.directory.join("merging");
    let bare = desk.world.repository("deployments");
    git(&desk.world.directory, &["clone", "-q", bare.to_str().unwrap(), "merging"]);
    git(&work, &["merge", "-q", "--no-ff", "--no-commit", "origin/proposed/core/upf-edge/intent-1"]);
    let file = work.join("core/upf-edge/configmap.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{text}  added: \"by hand\"\n")).unwrap();
    git(&work, &["commit", "-qam", "Merge, and a little more"]);
    git(&work, &["push", "-q", "origin", "HEAD:main"]);
    let told = "proposal 1 waits for you; the branch holds what is neither published nor proposed, it is not used";
    desk.eventually("it is told", async || desk.summary().await == told).await;
    assert_eq!(desk.running().await, ["", ""]);

    // What was proposed can be approved all the same; the branch then holds what was approved.
    desk.approve("1").await;
    desk.eventually("v1 is settled", async || desk.summary().await == "settled").await;
    git(&work, &["pull", "-q", "--ff-only"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the approved content");
    desk.world.stop().await.unwrap();
}

/// A repository that is gone in the middle of everything prunes nothing, and all goes on when it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_vanishes_prunes_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    for name in ["intents", "deployments"] {
        let (path, away) = (desk.world.repository(name), desk.dir.path().join("away"));
        std::fs::rename(&path, &away).unwrap();
        // Anything that makes it look: here, a person who touches the object.
        let object = json!({
            "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": name, "namespace": "default", "labels": {"touched": "yes"}}
        });
        desk.management.apply(None, &Object::new(object).unwrap(), &Apply::new("person")).await.unwrap();
        desk.eventually("the repository is told to be gone", async || {
            let (ready, message) = desk.repository(name).await;
            ready == "False" && message.contains(&format!("{name}.git"))
        })
        .await;
        assert_eq!(desk.running().await, before);
        std::fs::rename(&away, &path).unwrap();
    }
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    desk.approve("2").await;
    desk.eventually("v2 is settled", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["revision"] == "v2" && sync["status"]["summary"] == "settled"
    })
    .await;
    assert_eq!(desk.running().await, before, "the same objects, changed");
    desk.world.stop().await.unwrap();
}

/// Somebody rewrites the deployments' history: what runs stays; publishing it again waits for a person.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_force_pushed_branch_prunes_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let bare = desk.world.repository("deployments");
    let first = git(&bare, &["rev-list", "--max-parents=0", "main"]);
    git(&bare, &["update-ref", "refs/heads/main", &first]);
    git(&bare, &["update-ref", "-d", "refs/tags/core/upf-edge/v1"]);
    desk.eventually("a person is asked", async || desk.summary().await == "proposal 2 waits for you").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(desk.running().await, before);
    desk.world.stop().await.unwrap();
}

/// A tag that somebody moved to other content is not what was approved: it is told, and not rolled out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_tag_is_not_rolled_out() {
    let desk = Desk::settled().await;
    let bare = desk.world.repository("deployments");
    git(desk.dir.path(), &["clone", "-q", bare.to_str().unwrap(), "deployments"]);
    let clone = desk.dir.path().join("deployments");
    let file = clone.join("core/upf-edge/deployment.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let evil = text.replace("registry.example/upf:1.4.2", "registry.example/upf:6.6.6");
    assert_ne!(evil, text);
    std::fs::write(&file, evil).unwrap();
    git(&clone, &["commit", "-qam", "Nobody approved this"]);
    git(&clone, &["tag", "--force", "core/upf-edge/v1"]);
    git(&clone, &["push", "-q", "--force", "origin", "refs/tags/core/upf-edge/v1"]);
    desk.eventually("it is told", async || desk.summary().await != "settled").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    for edge in &desk.edges {
        let live = edge.get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await.unwrap().unwrap();
        let image = live.value().pointer("/spec/template/spec/containers/0/image").cloned().unwrap();
        assert_eq!(image, "registry.example/upf:1.4.2", "{}", desk.summary().await);
    }
    let summary = desk.summary().await;
    assert!(summary.contains("v1") || summary.contains("waits for you"), "{summary}");
    desk.world.stop().await.unwrap();
}

/// A tag that somebody moved to a commit without the package: nothing is taken for deleted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_moved_away_from_the_package_prunes_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let bare = desk.world.repository("deployments");
    let first = git(&bare, &["rev-list", "--max-parents=0", "main"]);
    git(&bare, &["tag", "--force", "core/upf-edge/v1", &first]);
    desk.stays("a person is asked to publish it again", before.clone(), &["proposal 2 waits for you"]).await;
    desk.approve("2").await;
    desk.eventually("the same objects are v2", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["revision"] == "v2" && sync["status"]["summary"] == "settled"
    })
    .await;
    assert_eq!(desk.running().await, before);
    desk.world.stop().await.unwrap();
}

/// Somebody rewrites the branch and leaves the tags: the tag stands beside the history, and what runs stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_force_pushed_branch_beside_its_tags_prunes_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let bare = desk.world.repository("deployments");
    let first = git(&bare, &["rev-list", "--max-parents=0", "main"]);
    git(&bare, &["update-ref", "refs/heads/main", &first]);
    desk.stays("it is told", before, &["the commit is no part of refs/heads/main"]).await;
    let (_, status) = desk.loggia(&["status", "upf-edge"]);
    assert!(status.contains("v1") && status.contains("edge-2"), "{status}");
    desk.world.stop().await.unwrap();
}

/// A revision without a single object: nothing is pruned, even if somebody approves it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_render_prunes_nothing() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    git(desk.dir.path(), &["clone", "-q", desk.world.repository("deployments").to_str().unwrap(), "deployments"]);
    let clone = desk.dir.path().join("deployments");
    for file in std::fs::read_dir(clone.join("core/upf-edge")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "Kptfile" && name != "setters.yaml" {
            std::fs::remove_file(path).unwrap();
        }
    }
    git(&clone, &["commit", "-qam", "Nothing is left"]);
    git(&clone, &["push", "-q", "origin", "HEAD:refs/heads/drafts/core/upf-edge/empty"]);
    desk.stays("it is told", before.clone(), &["cannot be carried out as it is: edge-1: nothing is declared"]).await;
    let (_, told) = desk.loggia(&["get", "proposals", "2"]);
    assert!(told.contains("nothing is declared but 4 objects are owned"), "{told}");
    let (code, told) = desk.loggia(&["approve", "2", "--as", "A Person <person@example.com>"]);
    assert!(code == 2 && told.contains("edge-2: nothing is declared but 4 objects are owned"), "{code} {told}");
    // Whoever merges it with git all the same prunes nothing either.
    git(&clone, &["fetch", "-q"]);
    git(&clone, &["push", "-q", "origin", "origin/proposed/core/upf-edge/empty:refs/heads/main"]);
    desk.eventually("it is published", async || {
        desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await["status"]["revision"] == "v2"
    })
    .await;
    desk.stays("the targets say why", before, &["nothing is declared but 4 objects are owned"]).await;
    desk.world.stop().await.unwrap();
}

/// Who deletes an intent may want it again: it is a new one, with everything that belongs to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_that_comes_back_is_carried_out_again() {
    let desk = Desk::settled().await;
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    desk.commit("intents/README.md", "Nothing here.\n");
    desk.approve("2").await;
    let intent = async || desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
    desk.eventually("the intent is gone", async || intent().await.is_null()).await;
    assert_eq!(desk.running().await, ["", ""]);
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.approve("3").await;
    desk.eventually("it runs again", async || desk.summary().await == "settled").await;
    assert!(desk.running().await.iter().all(|uid| !uid.is_empty()));
    desk.world.stop().await.unwrap();
}

/// Git is what counts: what it declares comes back, and runs on, whatever somebody deletes by hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_git_declares_comes_back() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let delete = async |group: &str, version: &str, kind: &str| {
        let kind = Gvk::new(group, version, kind);
        let found = desk.management.get(&kind, "default", "upf-edge").await.unwrap().unwrap();
        desk.management.delete(None, &kind, &found.id(), &loggia::cluster::Delete::default()).await.unwrap();
        found.uid().to_owned()
    };
    let gone = delete("loggia.dev", "v1alpha1", "Sync").await;
    desk.eventually("the Sync is back and settled", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["metadata"]["uid"] != gone.as_str() && sync["status"]["summary"] == "settled"
    })
    .await;
    assert_eq!(desk.running().await, before, "nothing was touched");
    // A wish that somebody writes past Git is taken back, and nobody is asked about it.
    let intent = Gvk::new("nephoran.com", "v1", "CNFDeployment");
    let declared = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await["spec"].clone();
    let found = desk.management.get(&intent, "default", "upf-edge").await.unwrap().unwrap();
    // Often, because it matters which controller sees it first.
    for replicas in 3..13 {
        let patch = json!({"spec": {"replicas": replicas}});
        desk.management.merge(None, &intent, &found.id(), "", &patch).await.unwrap();
        desk.eventually("Git's wish is back", async || {
            desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await["spec"] == declared
        })
        .await;
    }
    desk.eventually("nothing is proposed", async || desk.summary().await == "settled").await;
    assert_ne!(desk.loggia(&["get", "proposals", "2"]).0, 0, "a proposal for what Git never said");
    // So is the deletion of an intent, with its Sync.
    let gone = delete("nephoran.com", "v1", "CNFDeployment").await;
    delete("loggia.dev", "v1alpha1", "Sync").await;
    desk.eventually("both are back and settled", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent["metadata"]["uid"] != gone.as_str()
            && intent["status"]["phase"] == "Running"
            && desk.summary().await == "settled"
    })
    .await;
    assert_eq!(desk.running().await, before, "nothing was touched");
    assert_ne!(desk.loggia(&["get", "proposals", "2"]).0, 0, "a proposal to delete what Git declares");
    // What Git withdraws asks a person, as ever; with the Sync gone as well, nothing is left behind.
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    desk.commit("intents/README.md", "Nothing here.\n");
    desk.eventually("the intent goes", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
        intent["metadata"]["deletionTimestamp"].is_string()
    })
    .await;
    delete("loggia.dev", "v1alpha1", "Sync").await;
    desk.approve("2").await;
    desk.eventually("everything is pruned", async || desk.running().await == ["", ""]).await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.approve("3").await;
    desk.eventually("what Git declares again runs again", async || desk.summary().await == "settled").await;
    desk.world.stop().await.unwrap();
}

/// A refusal is a decision: what runs is settled, and who changes their mind approves after all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_change_leaves_things_settled_and_may_be_approved_after_all() {
    let desk = Desk::settled().await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    let person = ["--as", "A Person <person@example.com>"];
    desk.eventually("proposal 2 opens", async || desk.loggia(&["get", "proposals", "2"]).0 == 0).await;
    let (code, told) = desk.loggia(&["reject", "2", "-m", "not yet", person[0], person[1]]);
    assert_eq!(code, 0, "{told}");
    desk.eventually("it is settled as it was", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        let ready = sync["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").cloned();
        sync["status"]["summary"] == "settled; proposal 2 was rejected: not yet" && ready.unwrap()["status"] == "True"
    })
    .await;
    let (_, status) = desk.loggia(&["status", "upf-edge"]);
    assert!(status.contains("to take the rejection back: `loggia approve 2`"), "{status}");
    desk.approve("2").await;
    desk.eventually("v2 is settled", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        sync["status"]["revision"] == "v2" && sync["status"]["summary"] == "settled"
    })
    .await;
    let (code, told) = desk.loggia(&["rollback", "upf-edge", "--to", "v2"]);
    assert!(code == 2 && told.contains("v2 is the present revision"), "{code} {told}");
    desk.world.stop().await.unwrap();
}

/// A suspended Sync corrects nothing, whoever made it, until it is resumed; history knows who said so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_sync_rests() {
    let desk = Desk::settled().await;
    let scale = async |replicas: i64| {
        let patch = json!({"spec": {"replicas": replicas}});
        let kind = Gvk::new("apps", "v1", "Deployment");
        let found = desk.edges[0].get(&kind, "core", "upf-edge").await.unwrap().unwrap();
        desk.edges[0].merge(None, &kind, &found.id(), "", &patch).await.unwrap();
    };
    let replicas = async || {
        let live = desk.edges[0].get(&Gvk::new("apps", "v1", "Deployment"), "core", "upf-edge").await.unwrap().unwrap();
        live.value()["spec"]["replicas"].as_i64().unwrap()
    };
    let (code, told) = desk.loggia(&["suspend", "upf-edge", "-m", "an incident"]);
    assert_eq!(code, 0, "{told}");
    desk.eventually("it rests", async || desk.summary().await == "suspended").await;
    scale(5).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(replicas().await, 5);
    let (code, told) = desk.loggia(&["resume", "upf-edge"]);
    assert_eq!(code, 0, "{told}");
    desk.eventually("it is corrected", async || replicas().await == 2).await;
    let (_, told) = desk.loggia(&["history", "upf-edge"]);
    assert!(told.contains("suspended") && told.contains("an incident") && told.contains("resumed"), "{told}");
    desk.world.stop().await.unwrap();
}

/// A target that lost its objects is not called healthy, and gets them again as soon as it can have them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_whose_namespace_went_says_so_and_is_repaired() {
    let desk = Desk::settled().await;
    let namespace = Gvk::new("", "v1", "Namespace");
    let found = desk.edges[0].get(&namespace, "", "core").await.unwrap().unwrap();
    desk.edges[0].delete(None, &namespace, &found.id(), &loggia::cluster::Delete::default()).await.unwrap();
    desk.eventually("it is told", async || {
        let sync = desk.get("loggia.dev", "v1alpha1", "Sync", "upf-edge").await;
        let row = sync["status"]["targets"][0].clone();
        row["health"] == "Degraded"
            && row["objects"] == 0
            && row["message"].as_str().unwrap().contains("namespace core")
    })
    .await;
    let again = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "core"}});
    desk.edges[0].apply(None, &Object::new(again).unwrap(), &Apply::new("person")).await.unwrap();
    desk.eventually("it runs again", async || !desk.running().await[0].is_empty()).await;
    desk.eventually("and is settled", async || desk.summary().await == "settled").await;
    desk.world.stop().await.unwrap();
}

/// A target that is down is left out by name; the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_does_not_stop_the_other() {
    let desk = Desk::new().await;
    let nowhere = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n";
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "nowhere", "namespace": "default"},
        "stringData": {"kubeconfig": nowhere}
    });
    let target = json!({
        "apiVersion": "loggia.dev/v1alpha1", "kind": "Target", "metadata": {"name": "edge-2", "namespace": "default"},
        "spec": {"kubeconfigSecret": {"name": "nowhere"}}
    });
    for object in [secret, target] {
        desk.management.apply(None, &Object::new(object).unwrap(), &Apply::new("person").forced()).await.unwrap();
    }
    desk.eventually("edge-2 is told to be down", async || {
        let target = desk.get("loggia.dev", "v1alpha1", "Target", "edge-2").await;
        let conditions = target["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|c| c["type"] == "Ready" && c["status"] == "False")
    })
    .await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.approve("1").await;
    let (_, body) = desk.loggia(&["get", "proposals", "1"]);
    assert!(body.contains("edge-2"), "the proposal names who is left out: {body}");
    desk.eventually("edge-1 runs", async || !desk.running().await[0].is_empty()).await;
    assert_eq!(desk.running().await[1], "", "edge-2 got nothing");
    desk.world.stop().await.unwrap();
}

/// A target that is none any more: what it has is planned to go, goes only when a person agreed, and nothing else goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_left_is_pruned_once_a_person_agrees() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let one = example("upf-edge.yaml")
        .replace("  targetNamespace: core\n", "  targetNamespace: core\n  targetCluster: edge-1\n");
    desk.commit("intents/upf-edge.yaml", &one);
    desk.eventually("a person is asked", async || desk.summary().await == "proposal 2 waits for you").await;
    let (_, told) = desk.loggia(&["get", "proposals", "2"]);
    assert!(told.contains("0 to create, 0 to change, 4 to delete") && told.contains("edge-2"), "{told}");
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(code == 1 && told.contains("4 to delete") && told.contains("4 unchanged"), "{code} {told}");
    let (_, status) = desk.loggia(&["status", "upf-edge"]);
    assert!(status.contains("edge-2") && status.contains("waits for approval"), "{status}");
    assert_eq!(desk.running().await, before, "nothing goes before");

    desk.approve("2").await;
    desk.eventually("edge-2 is empty", async || desk.running().await == [before[0].as_str(), ""]).await;
    desk.eventually("the rest is settled", async || desk.summary().await == "settled").await;
    let (_, status) = desk.loggia(&["status", "upf-edge"]);
    assert!(!status.contains("edge-2"), "{status}");
    let (_, proposals) = desk.loggia(&["get", "proposals"]);
    assert!(!proposals.contains("Open") && !proposals.contains("Approved"), "{proposals}");

    // It may become one again, by the plan that was agreed to first; leaving it again is asked again.
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("it is back", async || desk.summary().await == "settled" && !desk.running().await[1].is_empty())
        .await;
    let back = desk.running().await;
    desk.commit("intents/upf-edge.yaml", &one);
    desk.eventually("a person is asked again", async || desk.summary().await == "proposal 3 waits for you").await;
    assert_eq!(desk.running().await, back);

    // Deleting the intent takes it away from where it was left, too.
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    desk.commit("intents/README.md", "Nothing here.\n");
    desk.approve("4").await;
    desk.eventually("both are empty", async || desk.running().await == ["", ""]).await;
    desk.world.stop().await.unwrap();
}

/// What a number asks for does not turn into a deletion: that has a number of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_becomes_a_deletion_is_another_proposal() {
    let desk = Desk::settled().await;
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    desk.eventually("the change is proposed", async || desk.summary().await == "proposal 2 waits for you").await;
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    desk.commit("intents/README.md", "Nothing here.\n");
    desk.eventually("the deletion is proposed", async || desk.loggia(&["get", "proposals", "3"]).0 == 0).await;
    let (_, told) = desk.loggia(&["get", "proposals"]);
    let row = |number: &str| told.lines().find(|line| line.starts_with(number)).unwrap_or_default().to_owned();
    assert!(row("2").contains("Withdrawn") && row("3").contains("Delete core/upf-edge"), "{told}");
    let (code, told) = desk.loggia(&["approve", "2", "--as", "A Person <person@example.com>"]);
    assert_eq!(code, 2, "{told}");
    desk.world.stop().await.unwrap();
}

/// What no target would take is told before anybody approves it, by the schemas alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_fit_its_schema_cannot_be_approved() {
    let desk = Desk::settled().await;
    let before = desk.running().await;
    let lots = example("upf-edge.yaml").replace("dnn: internet", "dnn: internet\n    max-cpu: lots");
    desk.commit("intents/upf-edge.yaml", &lots);
    let object = "the target would refuse Deployment.apps/core/upf-edge: ";
    let words = "quantities must match the regular expression";
    desk.stays("it is told", before, &[object, words]).await;
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(code == 1 && told.contains(object) && told.contains(words), "{code} {told}");
    let (code, told) = desk.loggia(&["approve", "2", "--as", "A Person <person@example.com>"]);
    assert!(code == 2 && told.contains(object) && told.contains(words), "{code} {told}");
    desk.world.stop().await.unwrap();
}

/// Repositories that others use and that cannot be read stop nobody else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repository_that_nobody_needs_may_be_broken() {
    let desk = Desk::new().await;
    let broken = json!({
        "apiVersion": "config.porch.kpt.dev/v1alpha1", "kind": "Repository",
        "metadata": {"name": "another", "namespace": "default"},
        "spec": {"type": "git", "git": {"repo": "/there/is/no/such.git", "branch": "main"}}
    });
    desk.management.apply(None, &Object::new(broken).unwrap(), &Apply::new("person")).await.unwrap();
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("it is proposed", async || desk.summary().await == "proposal 1 waits for you").await;
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(code == 1 && told.contains("8 to create"), "{code} {told}");
    let (code, told) = desk.loggia(&["suspend", "upf-edge", "-m", "night", "-o", "json"]);
    assert!(code == 2 && told.contains("prints text only, not json"), "{code} {told}");
    let (_, told) = desk.loggia(&["get", "repositories"]);
    assert!(told.lines().any(|line| line.starts_with("another") && line.contains("/there/is/no/such.git")), "{told}");

    // What cannot be found now may be in what cannot be read.
    desk.commit(
        "intents/smf.yaml",
        &example("upf-edge.yaml").replace("upf-edge", "smf").replace("function: UPF", "function: SMF"),
    );
    desk.eventually("both are named", async || {
        let intent = desk.get("nephoran.com", "v1", "CNFDeployment", "smf").await;
        let message = intent["status"]["message"].as_str().unwrap_or_default().to_owned();
        message.contains("no blueprint smf for function SMF is in sight: another: ")
    })
    .await;
    // A target that does not exist is no plan without steps.
    let nowhere = example("upf-edge.yaml").replace("  targetNamespace: core\n", "  targetCluster: edge-9\n");
    std::fs::remove_file(desk.checkout.join("intents/smf.yaml")).unwrap();
    std::fs::write(desk.checkout.join("intents/upf-edge.yaml"), nowhere).unwrap();
    let (code, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(code == 2 && told.contains("there is no Target edge-9"), "{code} {told}");
    desk.world.stop().await.unwrap();
}

/// What a person does by command is told as an event too, and hides none of those that follow it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_holds_is_told_with_their_words() {
    let desk = Desk::settled().await;
    let (code, told) = desk.loggia(&["hold", "upf-edge", "-m", "not before the audit"]);
    assert_eq!(code, 0, "{told}");
    let events = async |reason: &str| {
        let all = desk.management.list(&Gvk::new("", "v1", "Event"), "default", "").await.unwrap().objects;
        all.iter().filter(|event| event.value()["reason"] == reason).count()
    };
    desk.eventually("it is an event", async || events("Held").await == 1).await;
    let (_, status) = desk.loggia(&["status", "upf-edge"]);
    assert!(status.contains("held by ") && status.contains(": not before the audit"), "{status}");
    let (_, told) = desk.loggia(&["diff", desk.checkout.to_str().unwrap()]);
    assert!(told.contains(": not before the audit"), "{told}");

    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml").replace("replicas: 2", "replicas: 3"));
    desk.approve("2").await;
    desk.eventually("both publications are events", async || events("Published").await == 2).await;
    assert_eq!(events("Held").await, 1, "once");
    desk.world.stop().await.unwrap();
}

/// A package that a Sync has already is not drafted, proposed or deleted by an intent that comes later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_for_a_package_that_has_a_sync_is_refused() {
    let desk = Desk::new().await;
    let package = json!({"repository": "deployments", "name": "core/upf-edge"});
    let mine = json!({
        "apiVersion": "loggia.dev/v1alpha1", "kind": "Sync", "metadata": {"name": "mine", "namespace": "default"},
        "spec": {"package": package}
    });
    let mine = Object::new(mine).unwrap();
    desk.management.apply(None, &mine, &Apply::new("person")).await.unwrap();
    let intent = async || desk.get("nephoran.com", "v1", "CNFDeployment", "upf-edge").await;
    let refused = async || {
        let status = intent().await["status"].clone();
        let message = status["message"].as_str().unwrap_or_default();
        status["phase"] == "Failed" && message.contains("belongs to Sync default/mine")
    };
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("it says whose package it is", refused).await;
    desk.eventually("so does its Sync", async || desk.summary().await.contains("belongs to Sync default/mine")).await;
    let refs = || git(&desk.world.repository("deployments"), &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs(), "refs/heads/main");
    git(&desk.checkout, &["rm", "-q", "intents/upf-edge.yaml"]);
    desk.commit("intents/README.md", "Nothing here.\n");
    desk.eventually("it goes without asking", async || intent().await.is_null()).await;
    assert_eq!(refs(), "refs/heads/main");
    desk.commit("intents/upf-edge.yaml", &example("upf-edge.yaml"));
    desk.eventually("it says so again", refused).await;
    desk.management.delete(None, &mine.gvk(), &mine.id(), &loggia::cluster::Delete::default()).await.unwrap();
    desk.approve("1").await;
    desk.eventually("the package is its own", async || desk.summary().await == "settled").await;
    desk.world.stop().await.unwrap();
}
