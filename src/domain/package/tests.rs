use std::collections::BTreeMap;

use serde_json::Value;

use super::derive::{Derivation, derive, derived_with, identify};
use super::kptfile::{FILE, Kptfile, Upstream};
use super::*;
use crate::domain::krm::document::{Limits, to_yaml};
use crate::domain::source::{File, FileMode, FileTree};

fn tree(files: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in files {
        tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
    }
    tree
}

fn kptfile(pipeline: &str) -> String {
    format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n{pipeline}")
}

fn text(tree: &FileTree, path: &str) -> String {
    String::from_utf8(tree.get(path).unwrap().bytes.to_vec()).unwrap()
}

fn render_with(pipeline: &str, files: &[(&str, &str)]) -> Result<Rendered, RenderError> {
    let kptfile = kptfile(pipeline);
    let mut all = vec![(FILE, kptfile.as_str())];
    all.extend_from_slice(files);
    render(&tree(&all), &Catalog)
}

fn mutator(image: &str, config: &str) -> String {
    format!("pipeline:\n  mutators:\n  - image: {image}\n    configMap:\n      {config}\n")
}

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment # a comment
metadata:
  name: web
spec:
  replicas: 2 # kpt-set: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    spec:
      initContainers:
      - name: init
        image: nginx:1.0
      containers:
      - name: web
        image: \"nginx:1.0\" # kpt-set: ${image}:${tag}
        args: # kpt-set: ${args}
        - a
        - b
";

/// There is no clock here: what would take for ever is counted before it begins.
#[test]
fn what_would_take_for_ever_is_refused() {
    let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: {}\n", "x".repeat(600_000));
    let setters: String = (0..4000).map(|n| format!("s{n}: v{n}\n      ")).collect();
    let error = render_with(&mutator("create-setters", &setters), &[("m.yaml", &map)]).unwrap_err().to_string();
    assert!(error.contains("all resources would be looked at 4000 times") && error.ends_with("[fn.config]"), "{error}");
    let target = "  - select: {kind: None}\n".repeat(3999);
    let config = format!(
        "apiVersion: fn.kpt.dev/v1alpha1\nkind: ApplyReplacements\nmetadata:\n  name: r\n  annotations:\n    \
         config.kubernetes.io/local-config: \"true\"\nreplacements:\n- sourceValue: a\n  targets:\n{target}"
    );
    let pipeline = "pipeline:\n  mutators:\n  - image: apply-replacements\n    configPath: r.yaml\n";
    let error = render_with(pipeline, &[("m.yaml", &map), ("r.yaml", &config)]).unwrap_err().to_string();
    assert!(error.contains("r.yaml:7: all resources would be looked at 4000 times"), "{error}");
    let few = config.replace(&"  - select: {kind: None}\n".repeat(3990), "");
    render_with(pipeline, &[("m.yaml", &map), ("r.yaml", &few)]).unwrap();
}

#[test]
fn setters_go_where_comments_ask_and_nothing_else_moves() {
    let rendered = render_with(
        &mutator("apply-setters:v0.2", "replicas: \"5\"\n      tag: \"2.0\"\n      args: \"[x, 'yes']\""),
        &[("d.yaml", DEPLOYMENT)],
    );
    let expected = DEPLOYMENT
        .replace("replicas: 2", "replicas: 5")
        .replace("image: \"nginx:1.0\" #", "image: \"nginx:2.0\" #")
        .replace("        - a\n        - b\n", "        - x\n        - \"yes\"\n");
    assert_eq!(text(&rendered.unwrap().tree, "d.yaml"), expected);
}

#[test]
fn a_setter_without_value_is_named_with_its_place() {
    let files =
        [("d.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: fixed # kpt-set: ${x}${y}\n")];
    let error = render_with(&mutator("apply-setters", "x: \"1\""), &files).unwrap_err().to_string();
    assert!(
        error.contains("setters y must be provided") && error.contains("d.yaml:6") && error.contains("Kptfile:7"),
        "{error}"
    );
}

/// What go.yaml.in/yaml/v3, which kpt reads Kptfiles with, makes of a value in a map of texts.
#[test]
fn scalars_of_a_config_map_are_the_texts_they_are_written_as() {
    for (written, text) in [
        ("3", "3"),
        ("1.50", "1.50"),
        ("0x1F", "0x1F"),
        ("017", "017"),
        ("1_000", "1_000"),
        ("1e3", "1e3"),
        ("true", "true"),
        ("yes", "yes"),
        ("2026-01-02", "2026-01-02"),
        ("\"x\"", "x"),
        ("!!str 5", "5"),
        ("!!int 3", "3"),
        ("~", ""),
        ("null", ""),
        ("", ""),
        ("*seven", "7"),
        (".inf", ".inf"),
        ("-.INF", "-.INF"),
        (".nan", ".nan"),
    ] {
        let config = format!("    name: &seven 7\n    configMap:\n      k: {written}\n");
        let kptfile = kptfile(&format!("pipeline:\n  mutators:\n  - image: set-labels\n{config}"));
        let read = super::Kptfile::parse("Kptfile", kptfile.as_bytes()).unwrap();
        assert_eq!(read.mutators[0].config_map.get("k").map(String::as_str), Some(text), "{written}");
    }
    let named = kptfile("pipeline:\n  mutators:\n  - image: set-labels\n    configMap: {n: a, yes: b, 017: c}\n");
    let read = super::Kptfile::parse("Kptfile", named.as_bytes()).unwrap();
    let names: Vec<&str> = read.mutators[0].config_map.keys().map(String::as_str).collect();
    assert_eq!(names, ["017", "n", "yes"]);
}

/// JSON has no such numbers; to kpt, what a Kptfile says is text.
#[test]
fn what_is_no_number_in_json_configures_a_function() {
    let rendered = render_with(&mutator("set-annotations", "limit: .inf"), &[("d.yaml", DEPLOYMENT)]).unwrap();
    assert!(text(&rendered.tree, "d.yaml").contains("limit: \".inf\"\n"), "{}", text(&rendered.tree, "d.yaml"));
    let elsewhere = [("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  on: .inf\n")];
    let refused = render_with(&mutator("set-annotations", "limit: .inf"), &elsewhere).unwrap_err();
    assert!(refused.to_string().contains("[yaml.number]"), "{refused}");
}

#[test]
fn text_stays_text() {
    let files =
        [("c.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  on: \"off\" # kpt-set: ${v}\n")];
    let rendered = render_with(&mutator("apply-setters", "v: \"yes\""), &files).unwrap();
    assert!(text(&rendered.tree, "c.yaml").contains("\"yes\" # kpt-set"), "{}", text(&rendered.tree, "c.yaml"));
}

#[test]
fn namespace_labels_annotations_and_image_reach_every_place() {
    let namespaced =
        render_with(&mutator("set-namespace:v0.4.1", "namespace: core"), &[("d.yaml", DEPLOYMENT)]).unwrap();
    assert!(text(&namespaced.tree, "d.yaml").contains("  name: web\n  namespace: core\n"));

    let labelled =
        render_with(&mutator("gcr.io/kpt-fn/set-labels:v0.2.0", "tier: edge"), &[("d.yaml", DEPLOYMENT)]).unwrap();
    let value = labelled.objects[0].object.value().clone();
    for pointer in ["/metadata/labels", "/spec/selector/matchLabels", "/spec/template/metadata/labels"] {
        assert_eq!(value.pointer(pointer).unwrap()["tier"], "edge", "{pointer}");
    }

    let annotated = render_with(&mutator("set-annotations", "a/b: \"1\""), &[("d.yaml", DEPLOYMENT)]).unwrap();
    assert_eq!(annotated.objects[0].object.value()["spec"]["template"]["metadata"]["annotations"]["a/b"], "1");

    let image =
        render_with(&mutator("set-image", "name: nginx\n      newTag: \"2\""), &[("d.yaml", DEPLOYMENT)]).unwrap();
    let pod = &image.objects[0].object.value()["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["containers"][0]["image"], &pod["initContainers"][0]["image"]),
        (&"nginx:2".into(), &"nginx:2".into())
    );
}

#[test]
fn an_absent_network_policy_selector_is_not_narrowed() {
    let policy =
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: all\nspec:\n  podSelector: {}\n";
    let rendered = render_with(&mutator("set-labels", "tier: edge"), &[("n.yaml", policy)]).unwrap();
    assert_eq!(rendered.objects[0].object.value()["spec"]["podSelector"], serde_json::json!({}));
}

#[test]
fn selectors_choose_and_validators_change_nothing() {
    let pipeline = "pipeline:
  mutators:
  - image: set-annotations
    configMap: {a: \"1\"}
    selectors:
    - kind: ConfigMap
    exclude:
    - name: spared
  validators:
  - image: set-annotations
    configMap: {b: \"2\"}
";
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    let rendered =
        render_with(pipeline, &[("a.yaml", &map("hit")), ("b.yaml", &map("spared")), ("d.yaml", DEPLOYMENT)]).unwrap();
    let annotated: Vec<_> =
        rendered.objects.iter().filter(|o| o.object.annotation("a").is_some()).map(|o| o.object.name()).collect();
    assert_eq!(annotated, ["hit"]);
    assert!(rendered.objects.iter().all(|o| o.object.annotation("b").is_none()));
}

/// What functions see is what kpt 1.0.0-beta.56 shows them, whose programs wrote down the names that are expected here.
/// Each turns its list around.
#[test]
fn functions_see_resources_in_the_order_of_kpt() {
    let map = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    let (one, three) = (pipeline(&["f"]), pipeline(&["f", "some", "f"]));
    let packages = [("", three.as_str()), ("sub/", &one), ("sub/deep/", &one), ("asub/", &one)];
    let maps = ["a", "z", "dir/m", "sub/a", "sub/z", "sub/deep/q", "asub/k", "tab"];
    let name = |path: &str| path.trim_end_matches('/').replace('/', "-");
    let mut files = FileTree::new();
    for (directory, pipeline) in packages {
        let text = kptfile(pipeline).replace("name: p\n", &format!("name: {}\n", name(&format!("{directory}p"))));
        files.insert(format!("{directory}Kptfile"), File::regular(text.into_bytes())).unwrap();
    }
    for path in maps {
        let second = if path == "a" { format!("---\n{}", map("a2")) } else { String::new() };
        let text = format!("{}{second}", map(&name(path)));
        files.insert(format!("{path}.yaml"), File::regular(text.into_bytes())).unwrap();
    }
    let mut seen = Vec::new();
    render_others(&files, |list| {
        let names = |list: &Value| {
            let items = list["items"].as_array().unwrap().iter();
            items.map(|item| item["metadata"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        seen.push(names(list));
        list["items"].as_array_mut().unwrap().reverse();
    });
    let expected = [
        "asub-p asub-k",
        "sub-deep-p sub-deep-q",
        "sub-deep-q sub-deep-p sub-p sub-a sub-z",
        "asub-k asub-p sub-z sub-a sub-p sub-deep-p sub-deep-q p a a2 dir-m tab z",
        "tab a sub-z",
        "z tab dir-m a2 a p sub-deep-q sub-deep-p sub-p sub-a sub-z asub-p asub-k",
    ];
    assert_eq!(seen, expected);
}

/// Programs, of which `some` sees what three selectors choose.
fn pipeline(programs: &[&str]) -> String {
    let chosen = "    selectors:\n    - name: sub-z\n    - name: tab\n    - name: a\n";
    let program = |name: &&str| format!("  - exec: {name}\n{}", if *name == "some" { chosen } else { "" });
    format!("pipeline:\n  mutators:\n{}", programs.iter().map(program).collect::<String>())
}

/// Renders with one function for all programs.
fn render_others(files: &FileTree, mut function: impl FnMut(&mut Value)) -> Rendered {
    let run = |request: &external::Request| {
        let mut list =
            crate::domain::krm::document::read(request.list.as_bytes(), &Limits::default()).unwrap().remove(0).1;
        function(&mut list);
        Some(Ok(external::Answer { list: to_yaml(&list).into_bytes(), ..external::Answer::default() }))
    };
    render::render_with(files, Catalog, functions::PREFIX, &mut { run }).unwrap()
}

#[test]
fn what_configures_a_function_is_read_as_kpt_reads_it() {
    let pipeline = "pipeline:\n  mutators:\n  - image: set-labels\n    configPath: labels.yaml\n  - image: set-annotations\n    configMap: {y: on}\n";
    let local = "metadata: {name: labels, annotations: {config.kubernetes.io/local-config: \"true\"}}\n";
    let labels = format!("apiVersion: v1\nkind: ConfigMap\n{local}data: {{n: \"5\", country: no}}\n");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n";
    let rendered = render_with(pipeline, &[("labels.yaml", &labels), ("m.yaml", map)]).unwrap();
    let expected = "  labels:\n    country: \"no\"\n    \"n\": \"5\"\n  annotations:\n    \"y\": \"on\"\n";
    assert_eq!(text(&rendered.tree, "m.yaml"), format!("{map}{expected}"));
}

#[test]
fn subpackages_run_first_and_parents_see_them() {
    let sub = kptfile(&mutator("set-labels", "who: child")).replace("name: p", "name: child");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";
    let rendered =
        render_with(&mutator("set-labels", "who: parent"), &[("sub/Kptfile", &sub), ("sub/c.yaml", map)]).unwrap();
    assert_eq!(rendered.objects[0].object.label("who"), Some("parent"));
}

/// Pipeline, files, and words of the error.
type Row<'t> = (&'t str, &'t [(&'t str, &'t str)], &'t [&'t str]);

#[test]
fn bad_packages_are_refused_with_place_and_advice() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";
    let table: &[Row<'_>] = &[
        (
            "pipeline:\n  mutators:\n  - image: make-coffee:v1\n",
            &[],
            &["Kptfile:7", "make-coffee:v1", "apply-setters", "fn.unknown"],
        ),
        (
            "pipelines: {}\n",
            &[],
            &["Kptfile:5", "unknown field \"pipelines\"", "allowed here: apiVersion", "kptfile.unknown_field"],
        ),
        ("pipeline:\n  mutators:\n  - image: set-labels\n    exec: x\n", &[], &["Kptfile:7", "fn.ambiguous"]),
        ("pipeline:\n  mutators:\n  - exec: rm -rf /\n", &[], &["Kptfile:7", "fn.exec_denied"]),
        (
            "pipeline:\n  mutators:\n  - image: set-labels\n    configPath: ../x.yaml\n",
            &[],
            &["Kptfile:8", "path.escape"],
        ),
        (
            "pipeline:\n  mutators:\n  - image: set-labels\n    configPath: x.yaml\n",
            &[],
            &["Kptfile:7", "fn.config_missing", "x.yaml"],
        ),
        (
            "pipeline:\n  mutators:\n  - image: set-labels\n    configMap:\n      a: {b: 5}\n",
            &[],
            &["Kptfile:9", "must be text", "not a map or a list", "configPath"],
        ),
        (
            "",
            &[("a.yaml", map), ("b/c.yaml", map)],
            &["b/c.yaml:1", "declared twice", "a.yaml:1", "k8s.duplicate_object"],
        ),
        ("", &[("a.yaml", "kind: X\n")], &["a.yaml:1", "apiVersion is missing", "k8s.identity_missing"]),
        (
            "",
            &[("a.yaml", "a: 1\nb:\n  c: 1\n  c: 2\n")],
            &["a.yaml:4", "\"c\" is written twice", "yaml.duplicate_key"],
        ),
        ("", &[("sub/kptfile", "x")], &["sub/kptfile:1", "kptfile.ambiguous"]),
    ];
    for (pipeline, files, words) in table {
        let error = render_with(pipeline, files).unwrap_err().to_string();
        for word in *words {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    }
    let old = tree(&[(FILE, "apiVersion: kpt.dev/v1alpha2\nkind: Kptfile\nmetadata:\n  name: p\n")]);
    assert!(render(&old, &Catalog).unwrap_err().to_string().contains("migration"));
    assert!(render(&FileTree::new(), &Catalog).unwrap_err().to_string().contains("kptfile.missing"));
    let mut link = tree(&[(FILE, &kptfile(""))]);
    link.insert("out.yaml", File { mode: FileMode::Symlink, bytes: b"../../etc/passwd"[..].into() }).unwrap();
    let error = render(&link, &Catalog).unwrap_err().to_string();
    assert!(error.contains("out.yaml") && error.contains("path.symlink"), "{error}");
}

#[test]
fn all_problems_come_at_once() {
    let error = render_with("a: 1\nb: 2\n", &[]).unwrap_err().to_string();
    assert_eq!(error.lines().count(), 2, "{error}");
}

#[test]
fn local_config_and_ignored_files_are_not_applied() {
    let local = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: l\n  annotations:\n    config.kubernetes.io/local-config: \"true\"\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";
    let files = [("l.yaml", local), ("tests/c.yaml", map), ("c.yaml", map), (".krmignore", "# no tests\ntests/\n")];
    let rendered = render_with("", &files).unwrap();
    assert_eq!(rendered.objects.iter().map(|o| o.origin.as_str()).collect::<Vec<_>>(), ["c.yaml:1"]);
}

#[test]
fn kptfile_reads_what_kpt_writes() {
    let text = "apiVersion: kpt.dev/v1
kind: Kptfile
metadata: {name: p, annotations: {x: y}}
upstream: {type: git, git: {repo: r, directory: /d, ref: v1}, updateStrategy: resource-merge}
upstreamLock: {type: git, git: {repo: r, directory: /d, ref: v1, commit: 1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c}}
info: {readinessGates: [{conditionType: t}]}
status: {conditions: [{type: Rendered, status: \"True\"}]}
";
    let parsed = Kptfile::parse(FILE, text.as_bytes()).unwrap();
    assert_eq!(parsed.upstream.unwrap().commit, "1f0e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c");
}

fn blueprint(name: &str) -> FileTree {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples-repo/blueprints").join(name);
    let mut tree = FileTree::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let file = File::regular(std::fs::read(&path).unwrap());
        tree.insert(path.file_name().unwrap().to_str().unwrap(), file).unwrap();
    }
    tree
}

fn derivation() -> Derivation {
    Derivation {
        name: "upf-edge".into(),
        upstream: Upstream {
            repo: "blueprints.git".into(),
            directory: "upf".into(),
            reference: "upf/v1".into(),
            commit: "a".repeat(40),
        },
        params: BTreeMap::from([
            ("replicas".into(), "2".into()),
            ("name".into(), "upf-edge".into()),
            ("unused".into(), "x".into()),
        ]),
        namespace: "core".into(),
        labels: BTreeMap::from([("app.kubernetes.io/instance".into(), "upf-edge".into())]),
    }
}

#[test]
fn a_blueprint_becomes_a_deployment() {
    let derived = derive(&blueprint("upf"), &derivation()).unwrap();
    let rendered = render(&derived, &Catalog).unwrap();
    let names: Vec<String> = rendered.objects.iter().map(|o| o.object.id().to_string()).collect();
    assert_eq!(
        names,
        [
            "ConfigMap/core/upf-edge-config",
            "Deployment.apps/core/upf-edge",
            "NetworkPolicy.networking.k8s.io/core/upf-edge",
            "Service/core/upf-edge"
        ]
    );
    let deployment = rendered.objects[1].object.value();
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/instance"], "upf-edge");
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["envFrom"][0]["configMapRef"]["name"],
        "upf-edge-config"
    );
    assert!(!text(&derived, "setters.yaml").contains("unused"));
    assert!(text(&derived, FILE).contains("# Values of setters go where"), "comments survive");
    assert_eq!(Kptfile::parse(FILE, &derived.get(FILE).unwrap().bytes).unwrap().upstream.unwrap().directory, "upf");
    let again = render(&rendered.tree, &Catalog).unwrap();
    assert_eq!(again.tree, rendered.tree, "rendering twice changes nothing");
    assert_eq!(objects(&rendered.tree).unwrap(), rendered.objects);
}

#[test]
fn a_derived_package_says_what_it_was_derived_with() {
    let artifact = Upstream {
        repo: "oci://127.0.0.1:5000/team/upf".into(),
        directory: String::new(),
        reference: "v1".into(),
        commit: format!("sha256:{}", "a".repeat(64)),
    };
    for (name, upstream) in [("upf", derivation().upstream), ("amf", derivation().upstream), ("web", artifact)] {
        let derivation = Derivation { upstream, ..derivation() };
        let package = render(&derive(&blueprint(name), &derivation).unwrap(), &Catalog).unwrap().tree;
        let told = derived_with(&package).unwrap().unwrap();
        assert_eq!(
            (&told.name, &told.upstream, &told.namespace),
            (&"upf-edge".to_owned(), &derivation.upstream, &derivation.namespace)
        );
        let again = render(&derive(&blueprint(name), &told).unwrap(), &Catalog).unwrap().tree;
        assert_eq!(again, package, "{name}");
        let mut same = package.clone();
        identify(&mut same, &derivation).unwrap();
        assert_eq!(same, package, "{name}");
    }
    assert_eq!(derived_with(&blueprint("upf")).unwrap(), None);
}

#[test]
fn deriving_adds_functions_behind_those_that_are_there() {
    let kptfile = "apiVersion: kpt.dev/v1
kind: Kptfile
metadata:
  name: p
pipeline:
  mutators:
  # ours, and why
  - image: set-image:v0.1 # pinned
    configMap: {name: a, newName: b}
  # the last word
info:
  description: d
";
    let mut blueprint = FileTree::new();
    blueprint.insert(FILE, File::regular(kptfile.as_bytes().to_vec())).unwrap();
    let derived = text(&derive(&blueprint, &derivation()).unwrap(), FILE);
    let list = "  mutators:
  # ours, and why
  - image: set-image:v0.1 # pinned
    configMap: {name: a, newName: b}
  - configMap:
      namespace: ";
    assert!(derived.contains(list) && derived.contains("# the last word\n"), "{derived}");
    assert_eq!(derived.matches("  - ").count(), 3, "{derived}");
}

#[test]
fn every_example_renders() {
    for name in ["amf", "upf", "web"] {
        let rendered = render(&blueprint(name), &Catalog).unwrap();
        assert!(rendered.objects.len() >= 2, "{name}");
        assert!(rendered.objects.iter().all(|o| o.object.namespace() == "example"), "{name}");
    }
}
