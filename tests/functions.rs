//! `loggia fn` as a script uses it: arguments and flags of `kpt fn`, files, pipes, exit codes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

#[path = "support/cases.rs"]
mod cases;
#[path = "support/program.rs"]
mod program;

use std::ops::Deref;

use program::{Folder, Said};

const DEPLOYMENT: &str = "# the workload
apiVersion: apps/v1
kind: Deployment # kept
metadata:
  name: web
spec:
  replicas: 1   # how many
  template:
    spec:
      containers:
      - {name: web, image: 'web:1'}
";
const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  level: \"info\"\n";

struct World(Folder);

impl Deref for World {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl World {
    /// A package `pkg` with a pipeline, a deployment, and a configuration in a folder.
    fn new(pipeline: &str) -> Self {
        let world = Self(Folder::new());
        world.write("pkg/Kptfile", &kptfile("pkg", pipeline));
        world.write("pkg/deployment.yaml", DEPLOYMENT);
        world.write("pkg/conf/map.yaml", MAP);
        world.write("pkg/README.md", "about\n");
        world
    }

    fn files(&self) -> cases::Files {
        cases::files(&self.path("pkg"))
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(arguments, "")
    }

    /// Runs `loggia fn` where the package's folder is; programs in `bin` are found first.
    fn run_with(&self, arguments: &[&str], input: &str) -> Said {
        let path = format!("{}:{}", self.path("bin").display(), "/usr/bin:/bin");
        self.run_on_path(arguments, input, &path)
    }

    fn run_on_path(&self, arguments: &[&str], input: &str, path: &str) -> Said {
        Said::after(self.loggia().arg("fn").args(arguments).env("PATH", path), input)
    }
}

fn kptfile(name: &str, pipeline: &str) -> String {
    format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n{pipeline}")
}

fn mutators(lines: &str) -> String {
    format!("pipeline:\n  mutators:\n{lines}")
}

fn without_status(kptfile: &str) -> &str {
    kptfile.split("status:\n").next().unwrap()
}

#[test]
fn render_writes_the_package_and_says_so() {
    let pipeline =
        mutators("  - image: set-labels:v0.2\n    configMap: {tier: edge}\n    selectors:\n    - kind: ConfigMap\n");
    let world = World::new(&pipeline);
    let before = world.files();
    let said = world.run(&["render", "pkg"]).fine();
    let image = "\"ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2\"";
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(lines[0], "Package \"pkg\":");
    assert_eq!(lines[1], format!("[RUNNING] {image} on 1 resource(s)"));
    assert!(lines[2].starts_with(&format!("[PASS] {image} in ")), "{}", said.err);
    assert_eq!(lines.last(), Some(&"Successfully executed 1 function(s) in 1 package(s)."));
    assert!(said.out.is_empty());
    let after = world.files();
    assert_eq!(
        world.read("pkg/conf/map.yaml"),
        MAP.replace("name: settings\n", "name: settings\n  labels:\n    tier: edge\n")
    );
    for same in ["deployment.yaml", "README.md"] {
        assert_eq!(before[same], after[same], "{same}");
    }
    assert_eq!(after.len(), before.len());
    let status = world.read("pkg/Kptfile");
    assert_eq!(without_status(&status), kptfile("pkg", &pipeline));
    assert!(status.contains("reason: RenderSuccess") && status.contains("mutationSteps:"), "{status}");
    world.run(&["render", "pkg"]).fine();
    assert_eq!(world.files(), after, "rendering again changes nothing");
}

#[test]
fn a_failure_changes_nothing_but_the_status() {
    let pipeline = mutators("  - image: set-labels\n    configMap: {tier: edge}\n  - image: set-image\n");
    let world = World::new(&pipeline);
    let mut before = world.files();
    let said =
        world.run(&["render", "pkg", "--results-dir", "out/results"]).failed(&["pkg/Kptfile:9: set-image", "[FAIL]"]);
    assert!(said.err.contains("Partially executed 1 function(s) in 1 package(s)."), "{}", said.err);
    let mut after = world.files();
    let status = String::from_utf8(after.remove("Kptfile").unwrap()).unwrap();
    before.remove("Kptfile");
    assert_eq!(before, after);
    assert!(status.contains("reason: RenderFailed") && status.contains("errorSummary:"), "{status}");
    let results = world.read("out/results/results.yaml");
    assert!(results.contains("kind: FunctionResultList") && results.contains("exitCode: 1"), "{results}");
}

#[test]
fn what_was_done_before_a_failure_is_kept_on_request() {
    let world = World::new("");
    let text = kptfile("pkg", &mutators("  - image: set-labels\n    configMap: {tier: edge}\n  - image: set-image\n"));
    let asks = text.replace("name: pkg\n", "name: pkg\n  annotations:\n    kpt.dev/save-on-render-failure: \"true\"\n");
    world.write("pkg/Kptfile", &asks);
    world.run(&["render", "pkg"]).failed(&["set-image"]);
    assert!(world.read("pkg/conf/map.yaml").contains("tier: edge"));
}

#[test]
fn the_result_goes_where_it_is_asked_to() {
    let world = World::new(&mutators("  - image: set-namespace\n    configMap: {namespace: core}\n"));
    let before = world.files();
    let list = world.run(&["render", "pkg", "-o", "stdout"]).fine().out;
    assert!(list.starts_with("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n"), "{list}");
    assert!(list.contains("internal.config.kubernetes.io/path: conf/map.yaml") && list.contains("# kept"), "{list}");
    let plain = world.run(&["render", "pkg", "--output", "unwrap"]).fine().out;
    assert!(plain.contains("namespace: core") && !plain.contains("config.kubernetes.io"), "{plain}");
    world.run(&["render", "pkg", "-o", "new/folder"]).fine();
    assert!(world.read("new/folder/conf/map.yaml").contains("namespace: core"));
    assert_eq!(
        world.read("new/folder/deployment.yaml"),
        DEPLOYMENT.replace("name: web\nspec", "name: web\n  namespace: core\nspec")
    );
    world.run(&["render", "pkg", "-o", "new/folder"]).failed(&["new/folder is there already"]);
    assert_eq!(world.files(), before, "the package itself stays as it is");
    world.run(&["list", "-o", "stdout"]).failed(&["no output format \"stdout\""]);
}

#[test]
fn programs_run_only_when_they_may() {
    let world = World::new(&mutators("  - exec: 'sed -e \"s/replicas: 1 /replicas: 9 /\"'\n"));
    let before = world.files();
    world.run(&["render", "pkg"]).failed(&["--allow-exec", "fn.exec_denied", "pkg/Kptfile:7"]);
    assert_eq!(before["deployment.yaml"], world.files()["deployment.yaml"]);
    world.run(&["render", "pkg", "--allow-exec=false"]).failed(&["fn.exec_denied"]);
    world.run(&["render", "pkg", "--allow-exec"]).fine();
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT.replace("replicas: 1 ", "replicas: 9 "));
    assert_eq!(world.read("pkg/conf/map.yaml"), MAP);
}

#[test]
fn what_programs_say_is_shown_and_kept() {
    let world = World::new("pipeline:\n  validators:\n  - exec: ./judge\n");
    let results = "results:\n- message: too few\n  severity: warning\n  resourceRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  field: {path: spec.replicas}\n";
    world.program("judge", &format!("sed 's/replicas: 1/replicas: 7/'\ncat <<'END'\n{results}END\nseq 6 >&2"));
    let said = world.run(&["render", "pkg", "--allow-exec", "--results-dir", "r"]).fine();
    for word in [
        "[Results]: [warning] apps/v1/Deployment/web spec.replicas: too few",
        "  Stderr:\n    1\n",
        "(2 line(s) truncated",
    ] {
        assert!(said.err.contains(word), "{word:?} is not in {}", said.err);
    }
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT, "a validator changes nothing");
    let file = world.read("r/results.yaml");
    assert!(file.contains("exec: ./judge") && file.contains("message: too few") && file.contains("stderr:"), "{file}");
    let whole = world.run(&["render", "pkg", "--allow-exec", "--truncate-output=false"]).fine();
    assert!(whole.err.contains("    6"), "{}", whole.err);

    world.program("judge", "echo broken >&2; exit 4");
    let said = world.run(&["render", "pkg", "--allow-exec"]).failed(&[
        "Stderr: broken",
        "Exit code: 4",
        "exit code 4 [fn.failed]",
    ]);
    assert!(said.err.contains("[FAIL] \"./judge\""), "{}", said.err);
    assert!(world.read("pkg/Kptfile").contains("exitCode: 4"));
}

/// A container engine of our own: it writes down how it was called, and does what a function would.
#[test]
fn images_run_in_containers() {
    let world = World::new(&mutators("  - image: example.org/scale:v1\n    configMap: {replicas: \"5\"}\n"));
    world.program("bin/podman", "echo \"$*\" > calls; cat > input; sed 's/replicas: 1 /replicas: 5 /' input");
    world.run(&["render", "pkg", "--image-pull-policy", "never"]).fine();
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT.replace("replicas: 1 ", "replicas: 5 "));
    let calls = world.read("calls");
    for word in ["run --rm -i", "--network none", "--user nobody", "--read-only", "--pull never example.org/scale:v1"] {
        assert!(calls.contains(word), "{word:?} is not in {calls}");
    }
    let input = world.read("input");
    assert!(input.contains("functionConfig:\n  apiVersion: v1\n  data:\n    replicas: \"5\"\n"), "{input}");

    let empty = world.path("nothing");
    let said = world.run_on_path(&["render", "pkg"], "", empty.to_str().unwrap());
    said.failed(&["example.org/scale:v1 is not built in", "is not on the PATH", "fn.no_runner"]);
}

#[test]
fn output_that_may_not_be_is_refused_whole() {
    let world = World::new(&mutators("  - exec: ./function\n"));
    let before = world.files();
    let item = "kind: ResourceList\napiVersion: config.kubernetes.io/v1\nitems:\n- apiVersion: v1\n  kind: A\n  metadata:\n    name: a\n    annotations:\n      config.kubernetes.io/path:";
    let table = [
        ("echo '['".to_owned(), "not YAML"),
        (format!("echo '{item} ../../x.yaml'"), "it leaves the package"),
        (format!("echo '{item} /etc/x.yaml'"), "it is absolute"),
        ("sed 's/name: web$/nome: web/'".to_owned(), "has no metadata.name"),
        (
            "sed -e '/kpt-resource-id/d' -e 's/index: .1./index: 0/' -e 's|path: .*|path: same.yaml|'".to_owned(),
            "two resources have the path same.yaml",
        ),
    ];
    for (script, words) in &table {
        world.program("function", script);
        world.run(&["render", "pkg", "--allow-exec"]).failed(&["fn.output_invalid", words]);
        let mut after = world.files();
        after.insert("Kptfile".to_owned(), before["Kptfile"].clone());
        assert_eq!(after, before, "{script}");
    }
}

/// A function that moves one resource, removes one, adds one, in a subpackage and in the root.
#[test]
fn resources_go_where_functions_put_them() {
    let world = World::new(&mutators("  - exec: ./function\n"));
    world.write("pkg/sub/Kptfile", &kptfile("sub", ""));
    world.write("pkg/sub/two.yaml", &format!("{MAP}---\n{}", MAP.replace("settings", "second # c")));
    let added = "- apiVersion: v1\n  kind: Secret\n  metadata: {name: added}\n  data: {}";
    let script = format!(
        "awk '/name: web$/{{web=1}} /path: deployment.yaml/{{sub(\"deployment.yaml\",\"moved/web.yaml\")}} {{print}} END{{print \"{}\"}}' \
         | awk 'BEGIN{{skip=0}} {{print}}'",
        added.replace('\n', "\\n")
    );
    world.program("function", &script);
    world.run(&["render", "pkg", "--allow-exec"]).fine();
    let files = world.files();
    let names: Vec<&str> = files.keys().map(String::as_str).collect();
    let expected =
        ["Kptfile", "README.md", "conf/map.yaml", "moved/web.yaml", "secret_added.yaml", "sub/Kptfile", "sub/two.yaml"];
    assert_eq!(names, expected);
    assert_eq!(world.read("pkg/moved/web.yaml"), DEPLOYMENT);
    assert_eq!(
        world.read("pkg/secret_added.yaml"),
        "apiVersion: v1\nkind: Secret\nmetadata: {name: added}\ndata: {}\n"
    );
    assert!(world.read("pkg/sub/two.yaml").contains("second # c"));

    // Everything but Kptfiles goes: their files do too.
    let world = World::new(&mutators("  - exec: ./function\n    exclude:\n    - kind: Kptfile\n"));
    world.program("function", "echo 'apiVersion: config.kubernetes.io/v1\nkind: ResourceList\nitems: []'");
    world.run(&["render", "pkg", "--allow-exec"]).fine();
    assert_eq!(world.files().into_keys().collect::<Vec<_>>(), ["Kptfile", "README.md"]);
}

#[test]
fn subpackages_run_in_either_order() {
    for (annotation, expected) in [("", "root"), ("  annotations:\n    kpt.dev/bfs-rendering: \"true\"\n", "sub")] {
        let world = World::new("");
        let set = |who: &str| mutators(&format!("  - image: set-annotations\n    configMap: {{who: {who}}}\n"));
        let root = kptfile("pkg", &set("root")).replace("name: pkg\n", &format!("name: pkg\n{annotation}"));
        world.write("pkg/Kptfile", &root);
        world.write("pkg/sub/Kptfile", &kptfile("sub", &set("sub")));
        world.write("pkg/sub/map.yaml", MAP);
        let said = world.run(&["render", "pkg"]).fine();
        assert!(
            said.err.contains("Package \"pkg/sub\":") && said.err.contains("2 function(s) in 2 package(s)"),
            "{}",
            said.err
        );
        assert!(world.read("pkg/sub/map.yaml").contains(&format!("who: {expected}")), "{expected}");
        assert!(world.read("pkg/conf/map.yaml").contains("who: root"));
    }
}

#[test]
fn what_is_ignored_is_not_seen() {
    let world = World::new(&mutators("  - image: set-labels\n    configMap: {a: b}\n"));
    world.write("pkg/.krmignore", "conf/\n!kept.yaml\n");
    world.write("pkg/conf/broken.yaml", "a: [\n");
    world.run(&["render", "pkg"]).fine();
    assert_eq!(world.read("pkg/conf/map.yaml"), MAP);
    assert!(!world.run(&["source", "pkg"]).fine().out.contains("settings"));
}

#[test]
fn eval_runs_one_function() {
    let world = World::new("");
    let said = world
        .run(&["eval", "pkg", "--image", "set-labels:v0.2", "--match-kind", "ConfigMap", "--", "a=b", "c=d=e"])
        .fine();
    assert!(
        said.err.contains("[RUNNING] \"ghcr.io/kptdev/krm-functions-catalog/set-labels:v0.2\" on 1 resource(s)"),
        "{}",
        said.err
    );
    assert!(world.read("pkg/conf/map.yaml").contains("labels:\n    a: b\n    c: d=e\n"));
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT);
    world
        .run(&["eval", "pkg", "--exec", "sed -e 's/replicas: 1 /replicas: 2 /'", "--exclude-kind", "ConfigMap"])
        .fine();
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT.replace("replicas: 1 ", "replicas: 2 "));
    assert_eq!(world.read("pkg/Kptfile"), kptfile("pkg", ""), "eval writes no status");

    let before = world.files();
    for (arguments, words) in [
        (&["eval", "pkg"][..], &["--image"][..]),
        (&["eval", "pkg", "-i", "set-labels", "--exec", "x"], &["cannot be used with"]),
        (&["eval", "pkg", "-i", "set-labels", "--", "a=b", "c"], &["\"c\" is not KEY=VALUE"]),
        (&["eval", "pkg", "-i", "set-labels", "--save", "--", "a=b"], &["--type"]),
        (&["eval", "pkg", "--exec", "cat", "--network"], &["functions in containers"]),
        (&["eval", "pkg", "-i", "set-labels", "-m", "--", "a=b"], &["always included"]),
        (&["eval", "pkg", "-i", "set-labels", "--match-labels", "x", "--", "a=b"], &["not KEY=VALUE"]),
        (&["eval", "pkg", "-i", "set-labels:v9.9", "--", "a=b"], &["fn.no_runner"]),
        (&["eval", "pkg", "--exec", "false"], &["exit code 1"]),
    ] {
        world.run(arguments).failed(words);
    }
    assert_eq!(world.files(), before);
}

#[test]
fn eval_saves_the_function_in_the_pipeline() {
    let world = World::new("");
    let said = world.run(&["eval", "pkg", "-i", "set-labels:v0.2", "-s", "-t", "mutator", "--", "a=b"]).fine();
    assert!(said.err.contains("Added \"set-labels:v0.2\" as mutator in the Kptfile."), "{}", said.err);
    let saved = world.read("pkg/Kptfile");
    assert!(
        saved.starts_with(&kptfile("pkg", "pipeline:\n  mutators:\n")) && saved.contains("image: set-labels:v0.2"),
        "{saved}"
    );
    assert!(saved.contains("a: b") && world.read("pkg/conf/map.yaml").contains("a: b"), "{saved}");
    let said = world.run(&["eval", "pkg", "-i", "set-labels:v0.2", "-s", "-t", "mutator", "--", "a=c"]).fine();
    assert!(said.err.contains("Updated"), "{}", said.err);
    assert!(world.read("pkg/Kptfile").contains("a: c"));
    world.write("pkg/labels.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: labels\ndata:\n  x: z\n");
    let before = world.read("pkg/labels.yaml");
    world
        .run(&["eval", "pkg", "-i", "set-annotations", "-s", "--type=validator", "--fn-config", "pkg/labels.yaml"])
        .fine();
    assert!(world.read("pkg/Kptfile").contains("configPath: labels.yaml"));
    assert_eq!(world.read("pkg/labels.yaml"), before, "the configuration is no input");
    assert!(world.read("pkg/conf/map.yaml").contains("x: z"));
    world.write("out.yaml", &before);
    world
        .run(&["eval", "pkg", "-i", "set-labels", "-s", "-t", "mutator", "--fn-config", "out.yaml"])
        .failed(&["out.yaml is not in pkg"]);
}

#[test]
fn functions_chain_in_pipes() {
    let world = World::new("");
    let list = world.run(&["source", "pkg"]).fine().out;
    let labelled = world.run_with(&["eval", "-", "-i", "set-labels", "--", "a=b"], &list).fine().out;
    assert!(labelled.starts_with("apiVersion: config.kubernetes.io/v1\nkind: ResourceList\n"), "{labelled}");
    let scaled =
        world.run_with(&["eval", "-", "--exec", "sed -e 's/replicas: 1 /replicas: 3 /'"], &labelled).fine().out;
    world.run_with(&["sink", "sunk"], &scaled).fine();
    assert!(world.read("sunk/deployment.yaml").contains("replicas: 3   # how many"));
    assert!(world.read("sunk/conf/map.yaml").contains("a: b"));
    assert_eq!(world.read("sunk/Kptfile"), kptfile("pkg", ""));
    world.run_with(&["sink", "sunk"], &scaled).failed(&["sunk is there already"]);
    world.run_with(&["sink", "bad"], "a: [").failed(&["not YAML"]);
    assert!(!world.path("bad").exists());

    // Untouched resources come through byte for byte.
    world.run_with(&["sink", "same"], &list).fine();
    for file in ["deployment.yaml", "conf/map.yaml", "Kptfile"] {
        assert_eq!(world.read(&format!("same/{file}")), world.read(&format!("pkg/{file}")), "{file}");
    }

    // Plain documents do too.
    let plain = world.run(&["source", "pkg", "-o", "unwrap"]).fine().out;
    let out = world.run_with(&["eval", "-", "-i", "set-labels", "-o", "unwrap", "--", "q=r"], &plain).fine().out;
    assert!(out.matches("q: r").count() >= 2 && !out.contains("ResourceList"), "{out}");
    let config = world.run(&["source", "pkg", "--fn-config", "pkg/conf/map.yaml"]).fine().out;
    assert!(config.contains("\nfunctionConfig:\n  apiVersion: v1\n  kind: ConfigMap\n"), "{config}");
    world.run(&["source", "pkg", "-o", "json"]).failed(&["give stdout or unwrap"]);
}
