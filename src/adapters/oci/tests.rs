//! A registry that lies, and one that asks for tokens. A real one is in `tests/oci.rs`.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tar::{Builder, Header};

use super::*;
use crate::adapters::script::script;
use crate::domain::credentials::{SignIn, docker_key};

/// A request as the server sees it: path with query, headers in lower case, and body.
struct Asked {
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// Status, headers and body.
type Answered = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// Answers every request by a function; stops when it is dropped.
struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(answer: impl Fn(&Asked, u16) -> Answered + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, log) = (stop.clone(), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let mut stream = stream.unwrap();
                let Some(asked) = asked(&stream) else { continue };
                let user = asked.headers.get("authorization").map_or("", String::as_str);
                log.lock().unwrap().push(format!("{} {user}", asked.path).trim_end().to_owned());
                let (status, headers, body) = answer(&asked, port);
                let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
                    body.len()
                );
                // The client may have heard enough.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            }
        });
        Self { port, stop, seen }
    }

    fn registry(&self, keychain: &Keychain) -> Registry {
        let name = format!("127.0.0.1:{}/packages/web", self.port);
        let sign_ins: Arc<dyn SignIns> = Arc::new(keychain.clone());
        Registry::open(&ImageName::parse(&name).unwrap(), &sign_ins).unwrap()
    }

    fn pull(&self, reference: &str) -> Result<Pulled, String> {
        let registry = self.registry(&Keychain::default());
        registry.pull(&Wanted::parse(reference).unwrap(), &Budget::default(), &[]).map_err(|error| error.to_string())
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn asked(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut lines = reader.by_ref().lines().map_while(Result::ok);
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers = lines.take_while(|line| !line.is_empty());
    let headers: BTreeMap<String, String> =
        headers.filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned()))).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body).unwrap();
    Some(Asked { path, headers, body })
}

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

fn tar(path: &str, text: &str) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    let mut builder = Builder::new(Vec::new());
    builder.append_data(&mut header, path, text.as_bytes()).unwrap();
    builder.into_inner().unwrap()
}

fn described(bytes: &[u8], media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": ContentDigest::of(bytes).to_string(), "size": bytes.len()})
}

/// Bodies by path.
type Contents = BTreeMap<String, Vec<u8>>;

/// A repository whose contents are told by path.
fn contents(layer: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let manifest = json!({"schemaVersion": 2, "layers": [described(layer, LAYER)]}).to_string().into_bytes();
    let at = |path: String| format!("/v2/packages/web/{path}");
    BTreeMap::from([
        (at("manifests/v1".to_owned()), manifest.clone()),
        (at(format!("manifests/{}", ContentDigest::of(&manifest))), manifest),
        (at(format!("blobs/{}", ContentDigest::of(layer))), layer.to_vec()),
    ])
}

fn found(contents: &BTreeMap<String, Vec<u8>>, path: &str) -> Answered {
    match contents.get(path) {
        Some(body) => (200, Vec::new(), body.clone()),
        None => (404, Vec::new(), br#"{"errors":[{"code":"NAME_UNKNOWN","message":"no"}]}"#.to_vec()),
    }
}

fn serve(contents: BTreeMap<String, Vec<u8>>) -> Server {
    Server::start(move |asked, _| found(&contents, &asked.path))
}

/// The same contents with one body changed.
fn with(mut contents: BTreeMap<String, Vec<u8>>, part: &str, body: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let path = contents.keys().find(|path| path.contains(part)).unwrap().clone();
    contents.insert(path, body.to_vec());
    contents
}

#[test]
fn a_package_is_pulled_by_tag_and_by_digest() {
    let layer = tar("Kptfile", "k\n");
    let server = serve(contents(&layer));
    let pulled = server.pull("v1").unwrap();
    assert_eq!(pulled.tree.get("Kptfile").unwrap().bytes.as_ref(), b"k\n");
    assert_eq!(pulled.resolved, "v1");
    let again = server.pull(&pulled.digest.to_string()).unwrap();
    assert_eq!((again.tree, again.digest), (pulled.tree, pulled.digest));
    let missing = server.pull("v2").unwrap_err();
    assert!(
        missing.ends_with("reading the manifest of v2: there is none: NAME_UNKNOWN no [oci.not_found]"),
        "{missing}"
    );
}

#[test]
fn content_is_what_its_digest_says() {
    let layer = tar("Kptfile", "k\n");
    let good = contents(&layer);
    let other = tar("Kptfile", "x\n");
    let longer = [layer.as_slice(), &[0; 512]].concat();
    let digest = ContentDigest::of(&good["/v2/packages/web/manifests/v1"]).to_string();
    let table = [
        (with(good.clone(), "blobs/", &other), "v1", "oci.digest_mismatch"),
        (with(good.clone(), "blobs/", &longer), "v1", "oci.size_mismatch"),
        (with(good.clone(), "blobs/", &layer[..1000]), "v1", "oci.size_mismatch"),
        (with(good.clone(), "manifests/sha256", b"{}"), digest.as_str(), "oci.digest_mismatch"),
        (with(good.clone(), "manifests/v1", b"{}"), "v1", "oci.media_type"),
        (with(good.clone(), "manifests/v1", &vec![b' '; 5 << 20]), "v1", "oci.manifest_limit"),
    ];
    for (contents, reference, code) in table {
        let error = serve(contents).pull(reference).unwrap_err();
        assert!(error.ends_with(&format!("[{code}]")), "{code}: {error}");
    }
    let lie = Server::start(move |asked, _| {
        let (status, _, body) = found(&good, &asked.path);
        (status, vec![("docker-content-digest", ContentDigest::of(b"lie").to_string())], body)
    });
    assert!(lie.pull("v1").unwrap_err().ends_with("[oci.digest_mismatch]"));
}

/// The whole of what is said, but for the registry's address, which stands in front.
#[test]
fn each_wrong_artifact_is_told_exactly() {
    let layer = tar("Kptfile", "k\n");
    let good = contents(&layer);
    let (of_layer, other) = (ContentDigest::of(&layer), tar("Kptfile", "x\n"));
    let of_manifest = ContentDigest::of(&good["/v2/packages/web/manifests/v1"]).to_string();
    let manifest = |value: Value| with(good.clone(), "manifests/v1", value.to_string().as_bytes());
    let layers = |media_type: &str, count: usize| {
        manifest(json!({"schemaVersion": 2, "layers": vec![described(&layer, media_type); count]}))
    };
    let escape = tar_of(&[("../x", "k\n")]);
    let kinds = "packages are application/vnd.oci.image.layer.v1.tar+gzip, application/vnd.oci.image.layer.v1.tar, \
                 application/vnd.docker.image.rootfs.diff.tar.gzip, \
                 application/vnd.cncf.flux.content.v1.tar+gzip or application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    let table: Vec<(Contents, &str, String)> = vec![
        (
            with(good.clone(), "blobs/", &other),
            "v1",
            format!("{of_layer} has the digest {}, not {of_layer} [oci.digest_mismatch]", ContentDigest::of(&other)),
        ),
        (
            with(good.clone(), "manifests/sha256", b"{}"),
            &of_manifest,
            format!(
                "the manifest of {of_manifest} has the digest {}, not {of_manifest} [oci.digest_mismatch]",
                ContentDigest::of(b"{}")
            ),
        ),
        (
            with(good.clone(), "blobs/", &layer[..1000]),
            "v1",
            format!("{of_layer} has 1000 bytes, not {} as its manifest says [oci.size_mismatch]", layer.len()),
        ),
        (
            with(good.clone(), "manifests/v1", &vec![b' '; 5 << 20]),
            "v1",
            "the manifest of v1 exceeds the limit of 4194304 bytes [oci.manifest_limit]".to_owned(),
        ),
        (
            layers(LAYER, 10_000),
            "v1",
            "reading the manifest: the number of its layers, 10000, exceeds the limit of 128 [oci.manifest_limit]"
                .to_owned(),
        ),
        (
            layers("text/plain", 1),
            "v1",
            format!("reading the manifest: it has a layer of \"text/plain\"; {kinds} [oci.media_type]"),
        ),
        (
            contents(&escape),
            "v1",
            format!(
                "layer {}: unpacking \"../x\" of the archive: it leaves the package [path.escape]",
                ContentDigest::of(&escape)
            ),
        ),
    ];
    for (contents, reference, expected) in table {
        let server = serve(contents);
        let error = server.pull(reference).unwrap_err();
        assert_eq!(error, format!("127.0.0.1:{}/packages/web: {expected}", server.port));
    }
}

/// A tar with names that no proper program writes.
fn tar_of(files: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn indexes_lead_to_an_artifact_and_not_for_ever() {
    let layer = tar("Kptfile", "k\n");
    let mut contents = contents(&layer);
    let mut inner = contents["/v2/packages/web/manifests/v1"].clone();
    for depth in 1..=20 {
        let index =
            json!({"schemaVersion": 2, "manifests": [described(&inner, "application/vnd.oci.image.manifest.v1+json")]});
        inner = index.to_string().into_bytes();
        contents.insert(format!("/v2/packages/web/manifests/{}", ContentDigest::of(&inner)), inner.clone());
        contents.insert(format!("/v2/packages/web/manifests/i{depth}"), inner.clone());
    }
    let server = serve(contents.clone());
    let pulled = server.pull("i1").unwrap();
    assert_eq!(pulled.tree.len(), 1);
    assert_eq!(
        pulled.digest,
        ContentDigest::of(&contents["/v2/packages/web/manifests/i1"]),
        "the index is what the tag means"
    );
    let error = server.pull("i20").unwrap_err();
    assert!(error.ends_with("exceeds the limit of 3 [oci.manifest_limit]"), "{error}");
}

#[test]
fn tags_come_in_pages() {
    let contents = contents(&tar("Kptfile", "k\n"));
    let server = Server::start(move |asked, _| match asked.path.split_once("/tags/list?").map(|(_, query)| query) {
        Some("n=1000") => {
            let link = "</v2/packages/web/tags/list?n=1000&last=v1>; rel=\"next\"".to_owned();
            (200, vec![("link", link)], br#"{"name":"web","tags":["latest","v1"]}"#.to_vec())
        }
        Some(_) => (200, Vec::new(), br#"{"name":"web","tags":["v1.1.0", "v2"]}"#.to_vec()),
        None => found(&contents, &asked.path.replace("/v1.1.0", "/v1")),
    });
    assert_eq!(server.pull("^1").unwrap().resolved, "v1.1.0");
    let endless = Server::start(|_, _| {
        let link = "</v2/packages/web/tags/list?n=1000>; rel=\"next\"".to_owned();
        (200, vec![("link", link)], br#"{"tags":null}"#.to_vec())
    });
    assert!(endless.pull("^1").unwrap_err().ends_with("[oci.manifest_limit]"));
}

/// Docker's file with a user and a password for a registry.
fn keychain(dir: &std::path::Path, registry: &str) -> Keychain {
    let auth = STANDARD.encode("someone:secret");
    let path = dir.join("config.json");
    std::fs::write(&path, json!({"auths": {registry: {"auth": auth}}}).to_string()).unwrap();
    Keychain::at(&path)
}

/// A registry that answers with a token only, and gives tokens to `someone`.
fn guarded(layer: &[u8], realm: &'static str) -> Server {
    let contents = contents(layer);
    Server::start(move |asked, port| {
        let user = asked.headers.get("authorization").map_or("", String::as_str);
        if asked.path.starts_with("/token") {
            let is_known = user == format!("Basic {}", STANDARD.encode("someone:secret"));
            let body = if is_known { json!({"token": "t0"}) } else { json!({"token": "wrong"}) };
            return (200, Vec::new(), body.to_string().into_bytes());
        }
        if user == "Bearer t0" {
            return found(&contents, &asked.path);
        }
        let realm = realm.replace("PORT", &port.to_string());
        let challenge =
            format!("Bearer realm=\"{realm}\",service=\"reg\",scope=\"repository:packages/web:pull,push,delete\"");
        (401, vec![("www-authenticate", challenge)], Vec::new())
    })
}

#[test]
fn tokens_are_fetched_with_credentials_and_for_pulling_only() {
    let dir = tempfile::tempdir().unwrap();
    let server = guarded(&tar("Kptfile", "k\n"), "http://127.0.0.1:PORT/token");
    let registry = server.registry(&keychain(dir.path(), &format!("https://127.0.0.1:{}/v1/", server.port)));
    registry.pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), &[]).unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 4, "{seen:?}");
    assert_eq!(seen[0], "/v2/packages/web/manifests/v1");
    let basic = STANDARD.encode("someone:secret");
    assert_eq!(seen[1], format!("/token?service=reg&scope=repository%3Apackages%2Fweb%3Apull Basic {basic}"));
    assert!(seen[3].contains("/blobs/") && seen[3].ends_with("Bearer t0"), "the token is used again: {seen:?}");
    let error = server.pull("v1").unwrap_err();
    assert!(error.ends_with("[oci.auth]") && error.contains("docker login"), "{error}");
    assert!(!error.replace("secretRef", "").contains("secret") && !error.contains("t0"));
}

/// Docker's protocol for who has signed in elsewhere.
#[test]
fn identity_tokens_buy_tokens() {
    let dir = tempfile::tempdir().unwrap();
    let contents = contents(&tar("Kptfile", "k\n"));
    let server = Server::start(move |asked, port| {
        let user = asked.headers.get("authorization").map_or("", String::as_str);
        if asked.path.starts_with("/token") {
            let wanted = "service=reg&scope=repository%3Apackages%2Fweb%3Apull&grant_type=refresh_token\
                          &client_id=loggia&refresh_token=s3cret%2B";
            let is_right = asked.path == "/token?a=b" && asked.body == wanted && user.is_empty();
            let status = if is_right { 200 } else { 401 };
            return (status, Vec::new(), json!({"access_token": "t0"}).to_string().into_bytes());
        }
        if user == "Bearer t0" {
            return found(&contents, &asked.path);
        }
        let challenge = format!("Bearer realm=\"http://127.0.0.1:{port}/token?a=b\",service=\"reg\"");
        (401, vec![("www-authenticate", challenge)], Vec::new())
    });
    let path = dir.path().join("config.json");
    let with = |token: &str| {
        let host = format!("127.0.0.1:{}", server.port);
        let entry = json!({"auth": STANDARD.encode("<token>:"), "identitytoken": token});
        std::fs::write(&path, json!({"auths": {host: entry}}).to_string()).unwrap();
        server.registry(&Keychain::at(&path)).pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), &[])
    };
    assert_eq!(with("s3cret+").unwrap().resolved, "v1");
    let error = with("other").unwrap_err().to_string();
    assert!(error.contains("no token is given: 401") && error.ends_with("[oci.auth]"), "{error}");
    assert!(server.seen().iter().all(|seen| !seen.contains("s3cret")), "it is in no header and no path");
    let basic = Server::start(|_, _| (401, vec![("www-authenticate", "Basic realm=x".to_owned())], Vec::new()));
    let entry = json!({"auths": {format!("127.0.0.1:{}", basic.port): {"identitytoken": "s3cret"}}});
    std::fs::write(&path, entry.to_string()).unwrap();
    let pulled = basic.registry(&Keychain::at(&path)).pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), &[]);
    let error = pulled.unwrap_err().to_string();
    assert!(error.contains("a user and a password, not an identity token"), "{error}");
    assert_eq!(basic.seen().len(), 1);
}

#[test]
fn tokens_are_not_asked_for_elsewhere() {
    for realm in ["https://elsewhere.example/token", "http://169.254.169.254/latest", "nonsense"] {
        let dir = tempfile::tempdir().unwrap();
        let server = guarded(&tar("Kptfile", "k\n"), realm);
        let registry = server.registry(&keychain(dir.path(), &format!("127.0.0.1:{}", server.port)));
        let error = registry.pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), &[]).unwrap_err().to_string();
        assert!(error.ends_with("; nothing was sent there [oci.realm_denied]"), "{error}");
        assert!(
            error.starts_with(&format!("127.0.0.1:{}/packages/web: the registry wants a token from ", server.port))
        );
        assert_eq!(server.seen().len(), 1, "nothing more is sent");
    }
    let huge = Server::start(|asked, port| {
        if asked.path.starts_with("/token") {
            return (200, Vec::new(), format!("{{\"token\":\"{}\"}}", "x".repeat(10 << 20)).into_bytes());
        }
        (401, vec![("www-authenticate", format!("Bearer realm=\"http://127.0.0.1:{port}/token\""))], Vec::new())
    });
    assert!(huge.pull("v1").unwrap_err().ends_with("exceeds the limit of 65536 bytes [oci.manifest_limit]"));
    let none = Server::start(|_, _| (401, vec![("www-authenticate", "Negotiate".to_owned())], Vec::new()));
    assert!(none.pull("v1").unwrap_err().ends_with("[oci.auth]"));
}

#[test]
fn credentials_stay_where_they_belong() {
    let dir = tempfile::tempdir().unwrap();
    let layer = tar("Kptfile", "k\n");
    let store = serve(contents(&layer));
    let to = store.port;
    let contents = contents(&layer);
    let front = Server::start(move |asked, _| {
        if !asked.headers.contains_key("authorization") {
            return (401, vec![("www-authenticate", "Basic realm=x".to_owned())], Vec::new());
        }
        if asked.path.contains("/blobs/") {
            return (307, vec![("location", format!("http://127.0.0.1:{to}{}", asked.path))], Vec::new());
        }
        found(&contents, &asked.path)
    });
    let registry = front.registry(&keychain(dir.path(), &format!("127.0.0.1:{}", front.port)));
    registry.pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), &[]).unwrap();
    assert!(store.seen().iter().all(|request| !request.contains("Basic")), "{:?}", store.seen());
    assert_eq!(store.seen().len(), 1);
    for (location, code) in
        [("http://elsewhere.example/x", "net.redirect_denied"), ("file:///etc/passwd", "net.redirect_denied")]
    {
        let away = Server::start(move |_, _| (307, vec![("location", location.to_owned())], Vec::new()));
        let error = away.pull("v1").unwrap_err();
        assert!(error.ends_with(&format!("[{code}]")), "{error}");
    }
    let round = Server::start(|asked, _| (307, vec![("location", asked.path.clone())], Vec::new()));
    assert!(round.pull("v1").unwrap_err().contains("redirects more than 5 times"));
    assert_eq!(round.seen().len(), 6);
}

#[test]
fn what_may_pass_is_asked_again_and_not_for_ever() {
    let contents = contents(&tar("Kptfile", "k\n"));
    let count = Arc::new(Mutex::new(0));
    let server = Server::start(move |asked, _| {
        let mut count = count.lock().unwrap();
        *count += 1;
        if *count < 3 {
            (503, vec![("retry-after", "0".to_owned())], Vec::new())
        } else {
            found(&contents, &asked.path)
        }
    });
    server.pull("v1").unwrap();
    let down = Server::start(|_, _| (429, vec![("retry-after", "0".to_owned())], Vec::new()));
    assert!(down.pull("v1").unwrap_err().ends_with("the registry answered 429 [oci.answer]"));
    assert_eq!(down.seen().len(), 3);
    let broken = Server::start(|_, _| (500, Vec::new(), b"<html>".to_vec()));
    assert!(broken.pull("v1").unwrap_err().ends_with("the registry answered 500 [oci.answer]"));
    assert_eq!(broken.seen().len(), 1);
}

#[test]
fn files_of_credentials_are_read_as_docker_writes_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let of = |value: &Value, registry: &str| {
        std::fs::write(&path, value.to_string()).unwrap();
        let found = Keychain::at(&path).sign_in(Door::Registry(registry)).map_err(|error| error.to_string())?;
        Ok::<_, String>(found.and_then(|found| found.authorization()))
    };
    let pair =
        |user: &str, password: &str| Ok(Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))));
    let auth = STANDARD.encode("u:p:w");
    assert_eq!(of(&json!({"auths": {"h.io": {"auth": auth}}}), "h.io"), pair("u", "p:w"));
    assert_eq!(of(&json!({"auths": {"https://h.io/v1/": {"username": "u", "password": "p"}}}), "h.io"), pair("u", "p"));
    assert_eq!(of(&json!({"auths": {"h.io": {"auth": auth}}}), "other.io"), Ok(None));
    assert_eq!(of(&json!({"auths": {"h.io": {}}, "psFormat": "x"}), "h.io"), Ok(None));
    for wrong in [
        json!({"auths": {"h.io": {"auth": "!"}}}),
        json!({"credHelpers": {"h.io": "none-of-ours"}}),
        json!({"credHelpers": {"h.io": "../bin/x"}}),
        json!({"auths": ["secret"]}),
    ] {
        let error = of(&wrong, "h.io").unwrap_err();
        assert!(error.ends_with("[oci.auth]") && error.contains("config.json") && !error.contains("secret"), "{error}");
    }
    assert!(Keychain::at(&dir.path().join("none")).sign_in(Door::Registry("h.io")).unwrap().is_none());
}

#[test]
fn programs_that_keep_credentials_are_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.json");
    let helper = |name: &str, text: &str| script(&dir.path().join(format!("docker-credential-{name}")), text);
    let echo = "echo \"{\\\"ServerURL\\\":\\\"x\\\",\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"$(cat)\\\"}\"";
    helper("echo", echo);
    helper("empty", "cat > /dev/null; echo 'credentials not found in native keychain'; exit 1");
    helper("broken", "echo secret; exit 1");
    helper("wordy", "echo secret");
    helper("token", "echo '{\"Username\":\"<token>\",\"Secret\":\"secret\"}'");
    let of = |value: &Value, registry: &str| {
        std::fs::write(&path, value.to_string()).unwrap();
        let keychain = Keychain::at(&path).with_programs(dir.path());
        let found = keychain.sign_in(Door::Registry(registry)).map_err(|error| error.to_string())?;
        Ok::<_, String>(found.and_then(|found| found.authorization()))
    };
    let pair = |text: &str| Ok(Some(format!("Basic {}", STANDARD.encode(text))));
    let auth = STANDARD.encode("u:p");
    let both = json!({"auths": {"h.io": {"auth": auth}}, "credHelpers": {"h.io": "echo"}, "credsStore": "broken"});
    assert_eq!(of(&both, "h.io"), pair("get:h.io"));
    let store = json!({"auths": {"h.io": {"auth": auth}}, "credsStore": "echo"});
    assert_eq!(of(&store, "docker.io"), pair(&format!("get:{}", docker_key("docker.io"))));
    let empty = json!({"auths": {"h.io": {"auth": auth}}, "credsStore": "empty"});
    assert_eq!((of(&empty, "h.io"), of(&empty, "other.io")), (pair("u:p"), Ok(None)));
    std::fs::write(&path, json!({"credHelpers": {"h.io": "token"}}).to_string()).unwrap();
    let identity = Keychain::at(&path).with_programs(dir.path()).sign_in(Door::Registry("h.io"));
    assert_eq!(identity.unwrap(), Some(SignIn::Identity("secret".to_owned())));
    for name in ["broken", "wordy"] {
        let error = of(&json!({"credHelpers": {"h.io": name}}), "h.io").unwrap_err();
        let program = format!("docker-credential-{name}");
        assert!(error.contains(&program) && error.ends_with("[oci.auth]") && !error.contains("secret"), "{error}");
    }
}

/// A key, and its public half as cosign writes it.
fn key() -> (EcdsaKeyPair, PublicKey) {
    let random = ring::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let head: Vec<u8> =
        (0..head.len()).step_by(2).map(|at| u8::from_str_radix(&head[at..at + 2], 16).unwrap()).collect();
    let text = STANDARD.encode([head.as_slice(), pair.public_key().as_ref()].concat());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &text[..64], &text[64..]);
    let public = PublicKey::parse(&pem).unwrap();
    (pair, public)
}

#[test]
fn only_what_is_signed_with_the_key_is_taken() {
    let random = ring::rand::SystemRandom::new();
    let ((pair, public), (other, _)) = (key(), key());
    let good = contents(&tar("Kptfile", "k\n"));
    let digest = ContentDigest::of(&good["/v2/packages/web/manifests/v1"]);
    let payload = |digest: &str, kind: &str| {
        json!({"critical": {"identity": {"docker-reference": "x"}, "image": {"docker-manifest-digest": digest}, "type": kind}, "optional": null})
            .to_string()
            .into_bytes()
    };
    let signed = |payload: &[u8], pair: &EcdsaKeyPair| {
        let mut contents = good.clone();
        let mut layer = described(payload, "application/vnd.dev.cosign.simplesigning.v1+json");
        let signature = pair.sign(&random, payload).unwrap();
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": STANDARD.encode(signature.as_ref())});
        let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string().into_bytes();
        contents.insert(format!("/v2/packages/web/manifests/sha256-{}.sig", digest.hex()), manifest);
        contents.insert(format!("/v2/packages/web/blobs/{}", ContentDigest::of(payload)), payload.to_vec());
        contents
    };
    let kind = "cosign container image signature";
    let pull = |contents: BTreeMap<String, Vec<u8>>| {
        let server = serve(contents);
        let registry = server.registry(&Keychain::default());
        let pulled = registry.pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), std::slice::from_ref(&public));
        pulled.map(|pulled| pulled.digest).map_err(|error| error.to_string())
    };
    let right = payload(&digest.to_string(), kind);
    assert_eq!(pull(signed(&right, &pair)), Ok(digest.clone()));
    let elsewhere = payload(&ContentDigest::of(b"other").to_string(), kind);
    let attestation = payload(&digest.to_string(), "something else");
    let table = [
        (good.clone(), "there is no tag sha256-"),
        (signed(&right, &other), "is by another key"),
        (signed(&elsewhere, &pair), "the signature is of sha256:"),
        (signed(&attestation, &pair), "says not which image it signs"),
    ];
    for (contents, words) in table {
        let error = pull(contents).unwrap_err();
        assert!(error.contains(words) && error.ends_with("[oci.signature]"), "{words}: {error}");
    }
    for wrong in ["", "-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n"] {
        assert_eq!(PublicKey::parse(wrong), Err(SignatureError::Key));
    }
}

#[test]
fn a_broken_referrer_hides_no_signature() {
    const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let random = ring::rand::SystemRandom::new();
    let (pair, public) = key();
    let good = contents(&tar("Kptfile", "k\n"));
    let manifest = &good["/v2/packages/web/manifests/v1"];
    let digest = ContentDigest::of(manifest);
    let at = |path: String| format!("/v2/packages/web/{path}");
    let bundle = json!({
        "mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": ""}},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, manifest))},
            "signature": STANDARD.encode(pair.sign(&random, manifest).unwrap().as_ref())
        }
    })
    .to_string()
    .into_bytes();
    let referring = |layer: &[u8]| {
        let layers = [described(layer, BUNDLE)];
        json!({"schemaVersion": 2, "artifactType": BUNDLE, "layers": layers}).to_string().into_bytes()
    };
    let right = referring(&bundle);
    let listed = |manifest: &[u8]| {
        let mut listed = described(manifest, "application/vnd.oci.image.manifest.v1+json");
        listed["artifactType"] = json!(BUNDLE);
        listed
    };
    let pull = |bad: &[u8], body: Option<&[u8]>, is_signed: bool| {
        let mut contents = good.clone();
        let list: Vec<Value> = [Some(listed(bad)), is_signed.then(|| listed(&right))].into_iter().flatten().collect();
        let index = json!({"schemaVersion": 2, "manifests": list}).to_string().into_bytes();
        contents.insert(at(format!("referrers/{digest}")), index);
        contents.insert(at(format!("manifests/{}", ContentDigest::of(&right))), right.clone());
        contents.insert(at(format!("blobs/{}", ContentDigest::of(&bundle))), bundle.clone());
        contents.extend(body.map(|body| (at(format!("manifests/{}", ContentDigest::of(bad))), body.to_vec())));
        let server = serve(contents);
        let registry = server.registry(&Keychain::default());
        let pulled = registry.pull(&Wanted::Tag("v1".to_owned()), &Budget::default(), std::slice::from_ref(&public));
        pulled.map(|pulled| pulled.digest).map_err(|error| error.to_string())
    };
    let lost = referring(b"nobody has this");
    for (bad, body) in [
        (&b"no manifest"[..], None),
        (b"no manifest", Some(&b"no manifest"[..])),
        (b"{}", Some(b"of another digest")),
        (&lost, Some(&lost[..])),
    ] {
        assert_eq!(pull(bad, body, true), Ok(digest.clone()));
        let error = pull(bad, body, false).unwrap_err();
        assert!(error.ends_with("[oci.signature]"), "{error}");
    }
}

mod packages;
