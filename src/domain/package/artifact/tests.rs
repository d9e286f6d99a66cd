use serde_json::json;

use super::*;
use crate::domain::package::reference::Location;

const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn places_in_registries_are_read() {
    let digest = format!("sha256:{HEX}");
    let table = [
        ("oci://ghcr.io/a/web:v1", "ghcr.io/a/web", "", Some("v1")),
        ("oci://localhost:5000/web:v1", "localhost:5000/web", "", Some("v1")),
        ("oci://127.0.0.1:5000/a/b_c-d.e", "127.0.0.1:5000/a/b_c-d.e", "", None),
        ("oci://[::1]:5000/web:^1.2", "[::1]:5000/web", "", Some("^1.2")),
        ("oci://h.io/web@^1.2", "h.io/web", "", Some("^1.2")),
        ("oci://h.io/web:>=1 <2", "h.io/web", "", Some(">=1 <2")),
        ("oci://h.io/web//sub/dir:v1", "h.io/web", "sub/dir", Some("v1")),
    ];
    for (place, name, directory, reference) in table {
        let found = Location::parse(place, |_| false).unwrap();
        let expected = (format!("oci://{name}"), directory, reference);
        assert_eq!((found.repo, found.directory.as_str(), found.reference.as_deref()), expected, "{place}");
    }
    let found = Location::parse(&format!("oci://h.io/web:v1@{digest}"), |_| false).unwrap();
    assert_eq!(found.reference, Some(format!("v1@{digest}")));
    assert_eq!(Wanted::parse(&format!("v1@{digest}")), Ok(Wanted::Digest(ContentDigest::of(b""))));
}

#[test]
fn names_that_are_none_are_refused() {
    let table = [
        ("oci://ghcr.io/Web:v1", "oci.reference"),
        ("oci://ghcr.io:v1", "oci.reference"),
        ("oci:///web:v1", "oci.reference"),
        ("oci://-h.io/web:v1", "oci.reference"),
        ("oci://h.io:99999/web:v1", "oci.reference"),
        ("oci://u:p@h.io/web:v1", "oci.credentials"),
        ("oci://h.io/a___b:v1", "oci.reference"),
        ("oci://h.io/a/-b:v1", "oci.reference"),
        ("oci://h.io/a/../b:v1", "oci.reference"),
        ("oci://h.io/a?x=y:v1", "oci.reference"),
        ("oci://h.io/web:-v1", "oci.reference"),
        ("oci://h.io/web:", "oci.reference"),
        ("oci://h.io/web:a b", "oci.reference"),
        ("oci://h.io/web@sha256:abc", "oci.reference"),
        ("oci://h.io/web@md5:d41d8cd98f00b204e9800998ecf8427e", "oci.digest_algorithm"),
        ("oci://h.io/web@sha512:abc", "oci.digest_algorithm"),
        ("oci://h.io/web//../x:v1", "path.escape"),
    ];
    for (place, code) in table {
        let error = Location::parse(place, |_| false).map_err(|error| error.to_string()).unwrap_err();
        assert!(error.ends_with(&format!("[{code}]")), "{place}: {error}");
    }
    let long = format!("oci://h.io/{}:v1", "a".repeat(256));
    assert!(Location::parse(&long, |_| false).is_err());
}

#[test]
fn the_newest_version_of_a_range_is_taken() {
    let tags: Vec<String> = ["latest", "v1.0.0", "1.2.0", "1.10.0", "2.0.0-rc.1", "1.10.0_build.2", "sha256-abc.sig"]
        .map(str::to_owned)
        .into();
    let of = |text: &str| match Wanted::parse(text).unwrap() {
        Wanted::Range { text, range } => newest(&tags, &text, &range).map_err(|error| error.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(of("^1").unwrap(), "1.10.0_build.2");
    assert_eq!(of("~1.2").unwrap(), "1.2.0");
    assert_eq!(of("1.0.x").unwrap(), "v1.0.0");
    assert_eq!(of("^2.0.0-rc.0").unwrap(), "2.0.0-rc.1");
    assert!(of("^3").unwrap_err().starts_with("no tag is in the range ^3; there are sha256-abc.sig"), "{:?}", of("^3"));
}

fn layer(media_type: &str) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{HEX}"), "size": 1})
}

fn read(value: &Value) -> Result<Manifest, String> {
    manifest(value.to_string().as_bytes(), OF_PACKAGES).map_err(|error| error.to_string())
}

#[test]
fn kinds_of_artifacts_are_told_apart() {
    let kind = |layers: &[&str]| {
        let layers: Vec<Value> = layers.iter().map(|media_type| layer(media_type)).collect();
        match read(&json!({"schemaVersion": 2, "layers": layers})) {
            Ok(Manifest::Artifact(artifact)) => Ok((artifact.kind, artifact.layers.len())),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    };
    assert_eq!(kind(&[TARS[0], TARS[2]]), Ok((Kind::Image, 2)));
    assert_eq!(kind(&[FLUX]), Ok((Kind::Flux, 1)));
    assert_eq!(kind(&[HELM, "application/vnd.cncf.helm.chart.provenance.v1.prov"]), Ok((Kind::Helm, 1)));
    for wrong in [&[][..], &[FLUX, FLUX], &["application/vnd.oci.image.config.v1+json"], &[TARS[0], "text/plain"]] {
        let error = kind(wrong).unwrap_err();
        assert!(error.ends_with("[oci.media_type]"), "{wrong:?}: {error}");
    }
}

#[test]
fn manifests_that_are_none_are_refused() {
    let layers = json!([layer(TARS[0])]);
    let many: Vec<Value> = (0..10_000).map(|_| layer(TARS[0])).collect();
    let table = [
        (json!({"schemaVersion": 1, "fsLayers": []}), "oci.media_type"),
        (json!([]), "oci.media_type"),
        (
            json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.config.v1+json", "layers": layers}),
            "oci.media_type",
        ),
        (json!({"schemaVersion": 2, "mediaType": INDEXES[0], "layers": layers}), "oci.media_type"),
        (json!({"schemaVersion": 2, "layers": layers, "manifests": []}), "oci.manifest_invalid"),
        (json!({"schemaVersion": 2}), "oci.manifest_invalid"),
        (json!({"schemaVersion": 2, "layers": [{"digest": format!("sha256:{HEX}")}]}), "oci.manifest_invalid"),
        (json!({"schemaVersion": 2, "layers": [{"digest": "sha512:00", "size": 1}]}), "oci.digest_algorithm"),
        (json!({"schemaVersion": 2, "layers": many}), "oci.manifest_limit"),
        (json!({"schemaVersion": 2, "manifests": []}), "oci.media_type"),
    ];
    for (value, code) in table {
        let error = read(&value).unwrap_err();
        assert!(error.ends_with(&format!("[{code}]")), "{code}: {error}");
    }
    assert!(
        manifest(b"<html>", OF_PACKAGES)
            .map_err(|error| error.to_string())
            .unwrap_err()
            .ends_with("[oci.manifest_invalid]")
    );
}

#[test]
fn everybody_gets_the_same_manifest_of_an_index() {
    let entry = |number: usize, os: &str, architecture: &str| {
        let digest = ContentDigest::of(number.to_string().as_bytes()).to_string();
        json!({"mediaType": MANIFEST_TYPES[0], "digest": digest, "size": 1, "platform": {"os": os, "architecture": architecture}})
    };
    let mut about = entry(9, "unknown", "unknown");
    about["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
    let chosen = |entries: Vec<Value>| match read(&json!({"schemaVersion": 2, "manifests": entries})) {
        Ok(Manifest::Index(found)) => Ok(found.digest),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    };
    let number = |number: usize| Ok(ContentDigest::of(number.to_string().as_bytes()));
    assert_eq!(chosen(vec![entry(1, "linux", "arm64"), entry(2, "linux", "amd64")]), number(2));
    assert_eq!(chosen(vec![entry(1, "plan9", "mips"), about]), number(1));
    assert!(
        chosen(vec![entry(1, "linux", "arm64"), entry(2, "linux", "s390x")])
            .unwrap_err()
            .contains("none for linux/amd64")
    );
}

fn tree(paths: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in paths {
        tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
    }
    tree
}

type Files = [(&'static str, &'static str)];

#[test]
fn layers_lie_over_one_another() {
    let lower = tree(&[("a", "1"), ("d/x", "1"), ("d/y", "1"), ("e/x", "1"), ("f/g/h", "1"), ("i", "1"), ("dd", "1")]);
    let table: [(&Files, &Files); 6] = [
        (
            &[("a", "2")],
            &[("a", "2"), ("d/x", "1"), ("d/y", "1"), ("dd", "1"), ("e/x", "1"), ("f/g/h", "1"), ("i", "1")],
        ),
        (&[(".wh.a", ""), ("d/.wh.x", "")], &[("d/y", "1"), ("dd", "1"), ("e/x", "1"), ("f/g/h", "1"), ("i", "1")]),
        (&[(".wh.d", "")], &[("a", "1"), ("dd", "1"), ("e/x", "1"), ("f/g/h", "1"), ("i", "1")]),
        (
            &[("d/.wh..wh..opq", ""), ("d/z", "2")],
            &[("a", "1"), ("d/z", "2"), ("dd", "1"), ("e/x", "1"), ("f/g/h", "1"), ("i", "1")],
        ),
        (
            &[("f", "2"), ("i/j", "2")],
            &[("a", "1"), ("d/x", "1"), ("d/y", "1"), ("dd", "1"), ("e/x", "1"), ("f", "2"), ("i/j", "2")],
        ),
        (&[(".wh..wh..opq", "")], &[]),
    ];
    for (upper, expected) in table {
        assert_eq!(over(&lower, &tree(upper)), tree(expected), "{upper:?}");
    }
}

#[test]
fn a_chart_is_in_one_directory() {
    let good = tree(&[("web/Chart.yaml", "c"), ("web/templates/a.yaml", "t")]);
    assert_eq!(chart(&good).unwrap(), tree(&[("Chart.yaml", "c"), ("templates/a.yaml", "t")]));
    for bad in [&[("Chart.yaml", "c")][..], &[("a/Chart.yaml", "c"), ("b/x", "x")], &[]] {
        assert!(chart(&tree(bad)).is_err(), "{bad:?}");
    }
}
