//! However it is written, an object is nested no deeper than can be read again.

use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;
use crate::domain::krm::value::{MAX_DEPTH, MAX_DEPTH_OWNED, depth};

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const DEEPS: &str = "/apis/deep.dev/v1/deeps";

fn definition() -> Value {
    let schema = json!({"type": "object", "properties": {
        "any": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
    }});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "deeps.deep.dev"},
        "spec": {
            "group": "deep.dev", "scope": "Cluster", "names": {"plural": "deeps", "singular": "deep", "kind": "Deep", "listKind": "DeepList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

/// An object that is nested so deep, as JSON (which is YAML).
fn deep(name: &str, levels: usize) -> String {
    let (open, close) = ("{\"a\":".repeat(levels - 2), "}".repeat(levels - 2));
    format!(
        "{{\"apiVersion\":\"deep.dev/v1\",\"kind\":\"Deep\",\"metadata\":{{\"name\":{name:?}}},\"any\":{open}{{}}{close}}}"
    )
}

async fn ask(server: &ApiServer, method: &str, path: &str, media: &str, body: String) -> (u16, Value) {
    let request = http::Request::builder().method(method).uri(path).header("content-type", media);
    let reply = server.bare_service().oneshot(request.body(body).unwrap()).await.unwrap();
    let code = reply.status().as_u16();
    (code, serde_json::from_slice(&reply.into_body().collect().await.unwrap().to_bytes()).unwrap())
}

#[tokio::test]
async fn what_was_taken_is_there_after_a_restart_and_the_rest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = server_in(Some(dir.path().to_owned()));
    assert_eq!(ask(&server, "POST", CRDS, "application/json", definition().to_string()).await.0, 201);
    let apply = |name: &str| format!("{DEEPS}/{name}?fieldManager=me");
    let mut kept = Vec::new();
    let levels = [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, MAX_DEPTH_OWNED, 126, 127, 128, 200, 20_000];
    for (method, media) in
        [("POST", "application/json"), ("POST", "application/yaml"), ("PATCH", "application/apply-patch+yaml")]
    {
        for levels in levels {
            let name = format!("{}-{levels}", media.trim_start_matches("application/").replace('+', "-"));
            let path = if method == "POST" { DEEPS.to_owned() } else { apply(&name) };
            let (code, answer) = ask(&server, method, &path, media, deep(&name, levels)).await;
            if levels <= MAX_DEPTH {
                assert_eq!((code, depth(&answer) <= MAX_DEPTH_OWNED), (201, true), "{name}: {answer}");
                kept.push(name);
            } else {
                let message = answer["message"].as_str().unwrap();
                assert!(code == 400 && message.contains("nested deeper than 100 levels"), "{name}: {message}");
            }
        }
    }
    // What a client read it may write back, owners and all.
    let (_, mut read) = ask(&server, "GET", &format!("{DEEPS}/{}", kept[1]), "", String::new()).await;
    read["metadata"]["labels"] = json!({"a": "b"});
    assert_eq!(ask(&server, "PUT", &format!("{DEEPS}/{}", kept[1]), "application/json", read.to_string()).await.0, 200);
    drop(server);
    let server = server_in(Some(dir.path().to_owned()));
    for name in &kept {
        assert_eq!(ask(&server, "GET", &format!("{DEEPS}/{name}"), "", String::new()).await.0, 200);
    }
    let listed = ask(&server, "GET", DEEPS, "", String::new()).await.1;
    assert_eq!(listed["items"].as_array().unwrap().len(), kept.len());
}

#[tokio::test]
async fn patches_and_aliases_do_not_dig_deeper() {
    let server = server();
    assert_eq!(ask(&server, "POST", CRDS, "application/json", definition().to_string()).await.0, 201);
    let half = deep("x", MAX_DEPTH / 2);
    assert_eq!(ask(&server, "POST", DEEPS, "application/json", half).await.0, 201);
    let into = format!("/any{}/b", "/a".repeat(20));
    let dig = json!([{"op": "copy", "from": "/any", "path": into}]);
    let patch = |body: String| ask(&server, "PATCH", "/apis/deep.dev/v1/deeps/x", "application/json-patch+json", body);
    assert_eq!(patch(dig.to_string()).await.0, 200);
    let (code, answer) = patch(
        json!([{"op": "copy", "from": "/any", "path": into.replace("/b", &format!("/b{}/c", "/a".repeat(40)))}])
            .to_string(),
    )
    .await;
    assert!(code == 400 && answer["message"].as_str().unwrap().contains("nested deeper"), "{answer}");
    let endless: Vec<Value> = (0..1000)
        .map(|level| json!({"op": "add", "path": format!("/any{}", "/z".repeat(level + 1)), "value": {}}))
        .collect();
    assert_eq!(patch(Value::from(endless).to_string()).await.0, 400);
    let links: String =
        (1..200).map(|link| format!("  a{link}: &a{link} {{x: {{x: {{x: *a{}}}}}}}\n", link - 1)).collect();
    let yaml = format!("apiVersion: deep.dev/v1\nkind: Deep\nmetadata: {{name: y}}\nany:\n  a0: &a0 {{}}\n{links}");
    assert_eq!(ask(&server, "POST", DEEPS, "application/yaml", yaml).await.0, 400);
}
