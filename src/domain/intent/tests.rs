use std::path::Path;

use serde_json::{Value, json};

use super::cnf_deployment::{CnfDeploymentSpec, violations};
use super::expand::{Blueprint, ExpandContext, expand};
use super::read::{cnf_deployment, read_intents};
use crate::domain::id::{PackageName, RepositoryName};
use crate::domain::krm::document::to_yaml;
use crate::domain::source::{File, FileTree};

fn spec() -> Value {
    json!({
        "cnfType": "5G-Core", "function": "UPF", "deploymentStrategy": "GitOps", "replicas": 2,
        "resources": {"cpu": "2", "memory": "4Gi"}
    })
}

fn merged(patch: &Value) -> CnfDeploymentSpec {
    let mut value = spec();
    json_patch::merge(&mut value, patch);
    serde_json::from_value(value).unwrap()
}

/// Each rule of the contract with the words it promises.
#[test]
fn every_rule_has_its_words() {
    let table = [
        (json!({"function": "O-DU"}), "function O-DU is not compatible with CNF type 5G-Core"),
        (json!({"cnfType": "Custom", "function": "anything"}), ""),
        (json!({"deploymentStrategy": "Helm"}), "helm configuration is required for Helm deployment strategy"),
        (
            json!({"deploymentStrategy": "Operator"}),
            "operator configuration is required for Operator deployment strategy",
        ),
        (json!({"resources": {"maxCpu": "1"}}), "maxCpu must be greater than or equal to cpu"),
        (json!({"resources": {"maxMemory": "1Gi"}}), "maxMemory must be greater than or equal to memory"),
        (json!({"resources": {"cpu": "1999m"}}), "function UPF requires minimum 2000m CPU"),
        (json!({"resources": {"memory": "3999999999"}}), "function UPF requires minimum"),
        (json!({"resources": {"memory": "4e9"}}), ""),
        (json!({"function": "AMF", "resources": {"cpu": "999m"}}), "function AMF requires minimum 1000m CPU"),
        (json!({"resources": {"cpu": "two"}}), "is not a quantity"),
        (json!({"replicas": 0}), "0 is not between 1 and 100"),
        (json!({"replicas": 101}), "101 is not between 1 and 100"),
        (
            json!({"autoScaling": {"enabled": true, "minReplicas": 2, "maxReplicas": 2, "cpuUtilization": 50}}),
            "maxReplicas must be greater than minReplicas",
        ),
        (
            json!({"autoScaling": {"enabled": true, "minReplicas": 3, "maxReplicas": 5, "cpuUtilization": 50}}),
            "replicas must be between",
        ),
        (
            json!({"autoScaling": {"enabled": true, "minReplicas": 1, "maxReplicas": 5}}),
            "at least one scaling metric must be configured",
        ),
        (json!({"autoScaling": {"enabled": false, "minReplicas": 9, "maxReplicas": 5}}), ""),
        (json!({"networkSlice": "010203-abcde"}), "is not six hex digits"),
        (json!({"networkSlice": "010203-ABCDEF"}), ""),
        (json!({"targetNamespace": "Core"}), "is not a DNS label"),
    ];
    for (patch, words) in table {
        let found = violations(&merged(&patch));
        let text = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        if words.is_empty() {
            assert!(found.is_empty(), "{patch}: {text}");
        } else {
            assert_eq!(found.len(), 1, "{patch}: {text}");
            assert!(text.contains(words), "{patch}: {text}");
        }
    }
}

fn files(text: &str) -> FileTree {
    let mut tree = FileTree::new();
    tree.insert("intents/upf.yaml", File::regular(text.as_bytes().to_vec())).unwrap();
    tree
}

#[test]
fn an_invalid_intent_tells_everything_at_once_with_lines() {
    let text = "apiVersion: nephoran.com/v1
kind: CNFDeployment
metadata:
  name: upf
spec:
  cnfType: 5G-Core
  function: O-DU
  deploymentStrategy: Helm
  replicas: 500
  colour: blue
  resources:
    cpu: \"2\"
    memory: 4Gi
    maxCpu: \"1\"
";
    let (declared, problems) = read_intents(&files(text), "default");
    assert_eq!(declared, []);
    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for words in ["upf.yaml:10", "colour", "upf.yaml:"] {
        assert!(all.contains(words), "{words} is not in:\n{all}");
    }
}

#[test]
fn violations_carry_the_line_of_their_field() {
    let text = "apiVersion: nephoran.com/v1
kind: CNFDeployment
metadata:
  name: upf
spec:
  cnfType: 5G-Core
  function: O-DU
  deploymentStrategy: Helm
  replicas: 2
  resources:
    cpu: \"2\"
    memory: 4Gi
    maxCpu: \"1\"
";
    let (_, problems) = read_intents(&files(text), "default");
    let places: Vec<(usize, String)> = problems.iter().map(|p| (p.line, p.field.clone().unwrap_or_default())).collect();
    let expected = [(7, "spec.function"), (5, "spec.helm"), (13, "spec.resources.maxCpu")];
    assert_eq!(places.len(), expected.len(), "{problems:?}");
    for (line, field) in expected {
        assert!(places.contains(&(line, field.to_owned())), "{field} is not on {line}: {places:?}");
    }
}

#[test]
fn annotations_that_set_policy_are_checked() {
    let text = "apiVersion: nephoran.com/v1
kind: CNFDeployment
metadata:
  name: upf
  annotations:
    loggia.dev/stable-for: soon
    loggia.dev/approval: never
    loggia.dev/ignore-fields: /spec/replicas, spec.x
spec:
  cnfType: 5G-Core
  function: UPF
  deploymentStrategy: GitOps
  resources: {cpu: \"2\", memory: 4Gi}
";
    let (_, problems) = read_intents(&files(text), "default");
    let all = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert_eq!(problems.len(), 3, "{all}");
    for words in ["upf.yaml:5", "loggia.dev/stable-for: \"soon\"", "\"never\"", "\"spec.x\": expected . or ["] {
        assert!(all.contains(words), "{words} is not in:\n{all}");
    }
}

/// Line and field of every problem of a file.
fn places(text: &str) -> Vec<(usize, String)> {
    let (_, problems) = read_intents(&files(text), "default");
    let mut places: Vec<_> = problems.iter().map(|p| (p.line, p.field.clone().unwrap_or_default())).collect();
    places.sort();
    places
}

/// Wrong types, unknown words, missing fields and broken rules: all of it at once, each field once and on its line.
#[test]
fn one_wrong_field_hides_no_other() {
    let intent = "apiVersion: nephoran.com/v1
kind: CNFDeployment
metadata:
  name: upf
spec:
  cnfType: Foo
  deploymentStrategy: Magic
  replicas: \"two\"
  resources:
    cpu: []
    memory: 4Gi
    maxMemory: 1Gi
  targetNamespace: Core
  monitoring: 5
";
    let expected = [
        (5, "spec.function"),
        (6, "spec.cnfType"),
        (7, "spec.deploymentStrategy"),
        (8, "spec.replicas"),
        (10, "spec.resources.cpu"),
        (12, "spec.resources.maxMemory"),
        (13, "spec.targetNamespace"),
        (14, "spec.monitoring"),
    ];
    assert_eq!(places(intent), expected.map(|(line, field)| (line, field.to_owned())));

    let sync = "apiVersion: loggia.dev/v1alpha1
kind: Sync
metadata: {name: s}
spec:
  package: {repository: r}
  drift: nope
  suspend: 2.5
  health: {timeout: soon}
";
    let expected = [(5, "spec.package.name"), (6, "spec.drift"), (7, "spec.suspend"), (8, "spec.health.timeout")];
    assert_eq!(places(sync), expected.map(|(line, field)| (line, field.to_owned())));
}

#[test]
fn foreign_kinds_duplicates_and_broken_files_are_problems() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n";
    assert!(read_intents(&files(pod), "default").1[0].to_string().contains("is not an intent"));
    let sync =
        "apiVersion: loggia.dev/v1alpha1\nkind: Sync\nmetadata: {name: s}\nspec: {package: {repository: r, name: p}}\n";
    let (declared, problems) = read_intents(&files(&format!("{sync}---\n{sync}")), "team");
    assert_eq!((declared.len(), declared[0].object.namespace()), (2, "team"));
    assert!(problems[0].to_string().contains("declared twice"), "{problems:?}");
    assert_eq!(read_intents(&files("a: [\n"), "default").1[0].code, "yaml.syntax");
}

#[test]
fn the_walkthrough_expands_to_its_package() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/walkthrough/upf-edge.yaml");
    let (declared, problems) = read_intents(&files(&std::fs::read_to_string(root).unwrap()), "default");
    assert_eq!(problems, []);
    let intent = cnf_deployment(&declared[0].object).unwrap();
    let name = |text: &str| RepositoryName::new(text).unwrap();
    let blueprint = Blueprint { repository: name("blueprints"), package: PackageName::new("upf").unwrap() };
    let context = ExpandContext { blueprints: vec![blueprint], deployments: name("deployments"), unreadable: vec![] };
    let demand = expand(&intent, &context).unwrap();
    assert_eq!(demand.package.as_str(), "core/upf-edge");
    assert_eq!(demand.params["replicas"], "2");
    assert_eq!(demand.params["image"], "registry.example/upf:1.4.2");
    assert_eq!(demand.sync.targets.waves.len(), 2);

    let none = ExpandContext { blueprints: vec![], deployments: name("deployments"), unreadable: vec![] };
    let error = expand(&intent, &none).unwrap_err().to_string();
    assert!(error.contains("no blueprint upf for function UPF"), "{error}");
}

/// `schemas/` holds what is generated; `LOGGIA_BLESS=1 cargo test` writes it.
#[test]
fn generated_schemas_are_checked_in() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/crds");
    let bless = std::env::var_os("LOGGIA_BLESS").is_some();
    if bless {
        std::fs::create_dir_all(&dir).unwrap();
    }
    for (file, crd) in super::crds() {
        let generated = to_yaml(&crd);
        if bless {
            std::fs::write(dir.join(file), &generated).unwrap();
        }
        let found = std::fs::read_to_string(dir.join(file)).unwrap_or_default();
        assert!(found == generated, "{file} is not what is generated; run LOGGIA_BLESS=1 cargo test generated_schemas");
    }
}
