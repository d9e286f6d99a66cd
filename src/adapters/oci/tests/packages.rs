//! A registry as a repository of packages. A real one is in `tests/blueprints.rs`.

use super::*;
use crate::domain::error::{Class, Classify as _};
use crate::domain::id::{PackageName, RepositoryName, WorkspaceName};
use crate::ports::repositories::Location;
use crate::ports::revisions::{DraftContent, PackageStore as _, RevisionError};

type Contents = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// A registry whose contents change while it is served.
fn changing(contents: &Contents) -> Server {
    let contents = contents.clone();
    Server::start(move |asked, _| {
        let path = asked.path.split('?').next().unwrap();
        contents.lock().unwrap().get(path).map_or_else(|| (404, vec![], vec![]), |body| (200, vec![], body.clone()))
    })
}

fn put(contents: &Contents, tag: &str, text: &str) -> ContentDigest {
    let layer = tar("Kptfile", text);
    let manifest = json!({"schemaVersion": 2, "layers": [described(&layer, LAYER)]}).to_string().into_bytes();
    let digest = ContentDigest::of(&manifest);
    let at = |path: String| format!("/v2/team/upf/{path}");
    let mut all = contents.lock().unwrap();
    all.insert(at(format!("manifests/{tag}")), manifest.clone());
    all.insert(at(format!("manifests/{digest}")), manifest);
    all.insert(at(format!("blobs/{}", ContentDigest::of(&layer))), layer);
    digest
}

fn tags(contents: &Contents, tags: &[&str]) {
    let list = json!({"name": "team/upf", "tags": tags}).to_string().into_bytes();
    contents.lock().unwrap().insert("/v2/team/upf/tags/list".to_owned(), list);
}

fn store(server: &Server, packages: &[&str], keys: &[&str]) -> Result<ArtifactStore, RevisionError> {
    let name = RepositoryName::new("artifacts").unwrap();
    let url = format!("oci://127.0.0.1:{}/team", server.port);
    let packages = packages.iter().map(|name| PackageName::new(*name).unwrap()).collect();
    let keys = keys.iter().map(|key| (*key).to_owned()).collect();
    let location = Location { packages, keys, ..Location::git(name, &url, "", "") };
    ArtifactStore::new(&location, Arc::new(Keychain::default()))
}

#[tokio::test]
async fn numbered_tags_are_revisions_that_never_change() {
    let contents = Contents::default();
    let first = put(&contents, "v1", "one");
    put(&contents, "v10", "ten");
    tags(&contents, &["latest", "v1", "v10", "v01", "1.0.0", "sha256-00.sig"]);
    let catalogue = json!({"repositories": ["other/x", "team/upf", "team/Not_A_Name", "teams/y"]}).to_string();
    contents.lock().unwrap().insert("/v2/_catalog".to_owned(), catalogue.into_bytes());
    contents.lock().unwrap().insert("/v2/team/gone/tags/list".to_owned(), b"{}".to_vec());
    let server = changing(&contents);
    let store = store(&server, &[], &[]).unwrap();
    let revisions = store.list().await.unwrap();
    let told: Vec<_> = revisions.iter().map(|r| format!("{} {} {}", r.name, r.revision, r.latest)).collect();
    assert_eq!(told, ["artifacts.upf.v1 1 false", "artifacts.upf.v10 10 true"]);
    assert_eq!(revisions[0].commit.as_str(), first.hex());
    let text = |tree: FileTree| String::from_utf8(tree.get("Kptfile").unwrap().bytes.to_vec()).unwrap();
    assert_eq!(text(store.content(&revisions[0]).await.unwrap()), "one");
    let asked = server.seen().len();
    assert_eq!(text(store.content(&revisions[0]).await.unwrap()), "one");
    store.list().await.unwrap();
    assert_eq!(server.seen().len(), asked, "what is known costs no request");

    let look = async || {
        let store = store.clone();
        tokio::task::spawn_blocking(move || store.look()).await.unwrap()
    };
    let second = put(&contents, "v1", "two");
    let refs = look().await.unwrap();
    assert_eq!(refs["refs/tags/upf/v1"].as_str(), second.hex());
    assert_eq!(store.list().await.unwrap(), revisions, "a revision is what it was");
    let moved = store.content(&revisions[0]).await.unwrap_err();
    assert!(
        matches!(&moved, RevisionError::ArtifactMoved { was, now, .. }
        if *was == first.to_string() && *now == second.to_string()),
        "{moved}"
    );
    // A tag that goes and comes back is held against what it was.
    tags(&contents, &["v10"]);
    look().await.unwrap();
    assert_eq!(store.list().await.unwrap(), revisions[1..]);
    tags(&contents, &["v1", "v10"]);
    look().await.unwrap();
    assert!(store.vouch(&revisions[0]).await.is_err());
    put(&contents, "v1", "one");
    look().await.unwrap();
    store.vouch(&revisions[0]).await.unwrap();
}

/// What was read under another tag is relied on all the same.
#[tokio::test]
async fn a_tag_is_watched_also_when_its_content_was_known() {
    let contents = Contents::default();
    for tag in ["v1", "v2", "v3"] {
        put(&contents, tag, "one");
    }
    tags(&contents, &["v1", "v2", "v3"]);
    let server = changing(&contents);
    let store = store(&server, &["upf"], &[]).unwrap();
    let revisions = store.list().await.unwrap();
    for revision in &revisions[..2] {
        store.content(revision).await.unwrap();
    }
    put(&contents, "v2", "two");
    let again = store.clone();
    tokio::task::spawn_blocking(move || again.look()).await.unwrap().unwrap();
    let moved = store.content(&revisions[1]).await.unwrap_err();
    assert!(matches!(moved, RevisionError::ArtifactMoved { .. }), "{moved}");
}

#[tokio::test]
async fn a_registry_without_a_list_has_its_packages_named() {
    let contents = Contents::default();
    put(&contents, "v1", "one");
    tags(&contents, &["v1"]);
    let server = changing(&contents);
    let error = store(&server, &[], &[]).unwrap().list().await.unwrap_err();
    assert!(error.to_string().contains("name the packages in spec.oci.packages"), "{error}");
    let named = store(&server, &["upf", "amf"], &[]).unwrap();
    assert_eq!(named.list().await.unwrap().len(), 1, "one that is not there yet is no error");
    // What was seen is known while the registry is away.
    drop(server);
    let again = named.clone();
    let error = tokio::task::spawn_blocking(move || again.look()).await.unwrap().unwrap_err();
    assert!(error.class() == Class::Transient && error.to_string().contains("[oci.unreachable]"), "{error}");
    assert_eq!(named.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_written_and_a_key_that_is_none_is_told() {
    let server = changing(&Contents::default());
    let files = FileTree::new();
    let content = DraftContent { files, subject: String::new(), task: None, trailers: Vec::new() };
    let (package, workspace) = (PackageName::new("upf").unwrap(), WorkspaceName::new("w").unwrap());
    let refused = store(&server, &["upf"], &[]).unwrap().create(None, &package, &workspace, content).await;
    assert!(refused.unwrap_err().to_string().contains("it is a registry, which is only read"));
    let error = store(&server, &["upf"], &["none"]).err().unwrap();
    assert!(error.to_string().contains("spec.verify.keys of Repository artifacts"), "{error}");
    assert!(server.seen().is_empty());
}
