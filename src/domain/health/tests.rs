use serde_json::{Value, json};

use super::*;
use crate::domain::time::{SignedDuration, Timestamp};

fn deployment(status: &Value) -> Value {
    json!({"kind": "Deployment", "metadata": {"name": "d", "uid": "d", "generation": 2,
        "annotations": {"deployment.kubernetes.io/revision": "2"}}, "spec": {"replicas": 2}, "status": status})
}

#[test]
fn kinds_follow_their_rules() {
    let full = json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2});
    let with = |key: &str, value: Value| {
        let mut status = full.clone();
        status[key] = value;
        deployment(&status)
    };
    let table = [
        (deployment(&full), State::Healthy, ""),
        (deployment(&json!({})), State::Progressing, "not seen it yet"),
        (with("observedGeneration", json!(1)), State::Progressing, "not seen the change"),
        (with("updatedReplicas", json!(1)), State::Progressing, "1 of 2 replicas updated"),
        (with("replicas", json!(3)), State::Progressing, "1 old replicas"),
        (with("availableReplicas", json!(0)), State::Progressing, "0 of 2 replicas available"),
        (
            with(
                "conditions",
                json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "m"}]),
            ),
            State::Failed,
            "ProgressDeadlineExceeded: m",
        ),
        (json!({"kind": "Pod", "status": {"phase": "Failed", "reason": "Evicted"}}), State::Failed, "Evicted"),
        (json!({"kind": "Pod", "status": {"phase": "Succeeded"}}), State::Healthy, ""),
        (json!({"kind": "Pod", "status": {"phase": "Running"}}), State::Progressing, "not ready"),
        (json!({"kind": "Job", "status": {"active": 1}}), State::Progressing, "not finished"),
        (
            json!({"kind": "Job", "status": {"conditions": [{"type": "Complete", "status": "True"}]}}),
            State::Healthy,
            "",
        ),
        (json!({"kind": "PersistentVolumeClaim", "status": {"phase": "Pending"}}), State::Progressing, "not bound"),
        (json!({"kind": "Service", "spec": {"type": "ClusterIP"}}), State::Healthy, ""),
        (json!({"kind": "ConfigMap"}), State::Healthy, ""),
        (
            json!({"kind": "X", "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "m"}]}}),
            State::Progressing,
            "R: m",
        ),
        (
            json!({"kind": "X", "status": {"conditions": [{"type": "Stalled", "status": "True", "reason": "R", "message": "m"}]}}),
            State::Failed,
            "R: m",
        ),
        (json!({"kind": "X", "metadata": {"deletionTimestamp": "t"}}), State::Terminating, "deleted"),
    ];
    for (object, state, words) in table {
        let health = status_of(&object);
        assert_eq!(health.state, state, "{object}: {health:?}");
        assert!(health.message.contains(words), "{object}: {health:?}");
    }
}

fn owned(kind: &str, name: &str, owner: &str, revision: &str, status: &Value) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "uid": name, "ownerReferences": [{"uid": owner}],
        "annotations": {"deployment.kubernetes.io/revision": revision}}, "status": status})
}

#[test]
fn the_containers_reason_comes_first_and_only_of_the_new_template() {
    let waiting = json!({"phase": "Pending", "containerStatuses": [{"name": "upf", "state": {"waiting":
        {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x:broken\""}}}]});
    let progressing = deployment(&json!({"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1}));
    let new = [owned("ReplicaSet", "rs-2", "d", "2", &json!({})), owned("Pod", "p", "rs-2", "", &waiting)];
    let health = roll_up(&progressing, &new);
    assert_eq!(health.state, State::Failed);
    assert_eq!(health.message, "Pod p: container upf: ImagePullBackOff: Back-off pulling image \"x:broken\"");
    let old = [owned("ReplicaSet", "rs-1", "d", "1", &json!({})), owned("Pod", "p", "rs-1", "", &waiting)];
    assert_eq!(roll_up(&progressing, &old).state, State::Progressing);
}

#[test]
fn health_must_last_and_must_come_in_time() {
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let mut watch = Watchfulness {
        stable_for: SignedDuration::from_secs(30),
        timeout: SignedDuration::from_secs(300),
        began_at: at(0),
        healthy_since: None,
    };
    let (good, slow) = (Health::healthy(), Health::new(State::Progressing, "0 of 2 ready"));
    assert_eq!(watch.advance(at(10), &good), Verdict::Waiting(SignedDuration::from_secs(30)));
    assert_eq!(watch.advance(at(35), &slow), Verdict::Waiting(SignedDuration::from_secs(265)));
    assert_eq!(watch.advance(at(40), &good), Verdict::Waiting(SignedDuration::from_secs(30)), "a break starts it anew");
    assert_eq!(watch.advance(at(70), &good), Verdict::Healthy);
    let Verdict::Failed(why) = watch.advance(at(300), &slow) else { panic!("no deadline") };
    assert_eq!(why, "not healthy within 300 s: 0 of 2 ready");
    assert_eq!(watch.advance(at(1), &Health::new(State::Failed, "x")), Verdict::Failed("x".into()));
}
