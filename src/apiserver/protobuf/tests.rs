use std::collections::BTreeSet;
use std::process::Command;

use super::*;

/// The groups of `k8s.io/api` that are served, with their versions.
const GROUPS: [&str; 15] = [
    "apps/v1",
    "authentication/v1",
    "authorization/v1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "coordination/v1",
    "core/v1",
    "discovery/v1",
    "events/v1",
    "networking/v1",
    "policy/v1",
    "rbac/v1",
    "scheduling/v1",
    "storage/v1",
];
const MACHINERY: [&str; 4] = ["api/resource", "apis/meta/v1", "runtime", "util/intstr"];
/// Messages that are part of the one that they are in, as Go embeds their structs.
const INLINE: [&str; 5] =
    ["VolumeSource", "PersistentVolumeSource", "ProbeHandler", "EphemeralContainerCommon", "IngressRuleValue"];

/// Fields with another name than in JSON.
const RENAMED: [(&str, &str); 2] = [("uID", "uid"), ("aPIGroup", "apiGroup")];

/// The folder of a Go module that `tests/tools` needs, where Go and the module are at hand.
fn module(name: &str) -> Option<String> {
    let tools = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tools");
    let mut go = Command::new("go");
    go.args(["list", "-mod=mod", "-m", "-f", "{{.Dir}}", name]).current_dir(tools).env("GOFLAGS", "-mod=mod");
    let said = go.env("GOPROXY", "off").output().ok().filter(|said| said.status.success())?;
    let path = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    std::fs::exists(&path).is_ok_and(|found| found && !path.is_empty()).then_some(path)
}

/// `.k8s.io.api.core.v1.Pod` or, in its own package, `Pod`, as `core.v1.Pod`.
fn short(name: &str, package: &str) -> String {
    if matches!(name, "string" | "bytes" | "bool" | "int32" | "int64" | "double") {
        return name.to_owned();
    }
    let whole = if name.contains('.') { name.trim_start_matches('.').to_owned() } else { format!("{package}.{name}") };
    let prefixes = ["k8s.io.api.", "k8s.io.apimachinery.pkg.apis.", "k8s.io.apimachinery.pkg.api."];
    let others = ["k8s.io.apimachinery.pkg.util.", "k8s.io.apimachinery.pkg."];
    let found = prefixes.iter().chain(&others).find_map(|prefix| whole.strip_prefix(prefix));
    found.unwrap_or(&whole).to_owned()
}

/// The lines of a `.proto` file that say something.
fn distilled(text: &str) -> String {
    let (mut out, mut package) = (String::new(), String::new());
    for line in text.lines().map(|line| line.trim().trim_end_matches(';')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["package", name] => (*name).clone_into(&mut package),
            ["message", name, "{"] => out.push_str(&format!("{}\n", short(name, &package))),
            ["optional" | "required", of, name, "=", number] => {
                let inline = *name == "localObjectReference" || INLINE.contains(&of.rsplit('.').next().unwrap());
                let mark = if inline { "=" } else { "" };
                let name = RENAMED.iter().find(|(odd, _)| odd == name).map_or(*name, |(_, name)| name);
                out.push_str(&format!(" {number} {name} {mark}{}\n", short(of, &package)));
            }
            ["repeated", of, name, "=", number] => {
                out.push_str(&format!(" {number} {name} []{}\n", short(of, &package)));
            }
            ["map<string,", of, name, "=", number] => {
                let of = short(of.trim_end_matches('>'), &package);
                out.push_str(&format!(" {number} {name} {{}}{of}\n"));
            }
            _ => {}
        }
    }
    out
}

#[test]
fn the_fields_are_those_of_the_go_modules() {
    let (Some(api), Some(machinery)) = (module("k8s.io/api"), module("k8s.io/apimachinery")) else {
        println!("not run: there is no Go, or no k8s.io/api in its cache (tests/tools/build gets it)");
        return;
    };
    let groups = GROUPS.iter().map(|group| format!("{api}/{group}/generated.proto"));
    let packages = MACHINERY.iter().map(|package| format!("{machinery}/pkg/{package}/generated.proto"));
    let text: String = groups.chain(packages).map(|path| distilled(&std::fs::read_to_string(path).unwrap())).collect();
    if std::env::var_os("LOGGIA_RECORD").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/apiserver/protobuf/fields.txt"), &text).unwrap();
    }
    assert!(text == FIELDS, "they differ; LOGGIA_RECORD=1 cargo test --lib protobuf writes them anew");
}

#[test]
fn every_message_that_a_field_is_of_is_known() {
    let plain = ["string", "bytes", "bool", "int32", "int64", "double"];
    let wanted: BTreeSet<&str> = messages().values().flat_map(BTreeMap::values).map(|field| field.of).collect();
    let lost: Vec<_> = wanted.iter().filter(|name| !plain.contains(name) && !messages().contains_key(**name)).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

/// Puts a field on the wire.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[number << 3 | 2, length], bytes].concat()
}

fn body(version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
    [MAGIC.to_vec(), field(1, &meta), field(2, raw)].concat()
}

#[test]
fn a_deployment_is_read() {
    let metadata = [field(1, b"web"), field(11, &[field(1, b"app"), field(2, b"web")].concat())].concat();
    let surge = field(2, &[[8, 1].as_slice(), &[16, 0], &field(3, b"10%")].concat());
    let spec = [[8, 2].as_slice(), &field(4, &field(2, &surge))].concat();
    let read = read(&body("apps/v1", "Deployment", &[field(1, &metadata), field(2, &spec)].concat())).unwrap();
    let expected = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 2, "strategy": {"rollingUpdate": {"maxSurge": "10%"}}}});
    assert_eq!(read, expected);
}

#[test]
fn embedded_structs_are_part_of_what_they_are_in() {
    let volume = [field(1, b"v"), field(2, &field(2, &[]))].concat();
    let read = read(&body("v1", "Pod", &field(2, &field(1, &volume)))).unwrap();
    assert_eq!(read["spec"]["volumes"], json!([{"name": "v", "emptyDir": {}}]));
}

#[test]
fn what_cannot_be_read_is_refused() {
    let unknown = ProtobufError::UnknownKind { kind: "Odd".to_owned(), version: "x/v1".to_owned() };
    assert_eq!(read(b"{}"), Err(ProtobufError::NoMagic));
    assert_eq!(read(&body("x/v1", "Odd", &[])), Err(unknown));
    for raw in [[0x0a, 9, 1].as_slice(), &[0x08, 1], &[0x0f], &[0xff; 20]] {
        assert!(matches!(read(&body("v1", "Pod", raw)), Err(ProtobufError::Malformed { .. })), "{raw:?}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_a_surprise(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
        let _read = read(&body("v1", "Pod", &bytes));
        let _whole = read(&[MAGIC, &bytes].concat());
    }
}
