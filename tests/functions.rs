//! `loggia fn` as a script uses it: arguments and flags of `kpt fn`, files, pipes, exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

#[path = "support/cases.rs"]
mod cases;
#[path = "functions/endings.rs"]
mod endings;
#[path = "support/program.rs"]
mod program;

use std::ops::Deref;
use std::process::{Command, Stdio};

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
const PREFIX: &str = "ghcr.io/kptdev/krm-functions-catalog/";
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
    assert!(
        status.contains("reason: RenderSuccess") && status.contains("  renderStatus:\n    mutationSteps:"),
        "{status}"
    );
    world.run(&["render", "pkg"]).fine();
    assert_eq!(world.files(), after, "rendering again changes nothing");
    // kpt 1.0.0-beta.56 reads no Kptfile with a renderStatus.
    world.run(&["render", "pkg", "--render-status=false"]).fine();
    let short = world.read("pkg/Kptfile");
    assert!(status.starts_with(&short) && short.contains("reason: RenderSuccess"), "{short}");
    assert!(!short.contains("renderStatus"), "{short}");
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

    // A terminal does not do what a function says.
    world.program("judge", "cat; printf 'a\\033[2Jb\\r\\n' >&2");
    let said = world.run(&["render", "pkg", "--allow-exec"]).fine();
    assert!(said.err.contains("Stderr: a\\u{1b}[2Jb"), "{}", said.err);

    world.program("judge", "echo broken >&2; exit 4");
    let said = world.run(&["render", "pkg", "--allow-exec"]).failed(&[
        "Stderr: broken",
        "Exit code: 4",
        "exit code 4 [fn.failed]",
    ]);
    assert!(said.err.contains("[FAIL] \"./judge\""), "{}", said.err);
    assert!(world.read("pkg/Kptfile").contains("exitCode: 4"));
}

#[test]
fn a_program_has_limits() {
    let world = World::new(&mutators("  - exec: ./function\n"));
    world.program("function", "cat > input; ulimit -d; head -c 200000000 /dev/zero | tail -n 1 > /dev/null");
    let told = "./function: it ended with exit code 1 for want of memory, of which it may have 67108864 bytes \
                (--function-memory): tail: memory exhausted [fn.memory_limit]";
    world.run(&["render", "pkg", "--allow-exec", "--function-memory", "64Mi"]).failed(&[told]);
    world.program("function", "exec sleep 60");
    let said = world.run(&["render", "pkg", "--allow-exec", "--function-timeout", "50ms"]);
    said.failed(&["./function: it was stopped: it took longer than 50ms (--function-timeout) [fn.timeout]"]);
    world.program("function", "cat; yes");
    let said = world.run(&["eval", "pkg", "--exec", "./function", "--function-output", "1Mi"]);
    said.failed(&[
        "./function: it was stopped: it wrote more than 1048576 bytes (--function-output) [fn.output_limit]",
    ]);
    world.run(&["render", "pkg", "--function-timeout", "soon"]).failed(&["write it as 30s, 5m or 1h30m"]);
    for (flag, values, range) in [
        ("--function-timeout", ["0", "999us", "25h"], "from 1ms to 24h"),
        ("--function-memory", ["-1", "1Mi", "100Ti"], "from 16Mi to 16Ti, or 0 for no limit"),
        ("--function-output", ["0", "1e30", "8Gi"], "from 1Ki to 4Gi"),
    ] {
        for value in values {
            let said = world.run(&["render", "pkg", &format!("{flag}={value}")]).failed(&[range, value]);
            assert!(said.err.contains(flag) && !said.err.contains("[RUNNING]"), "{}", said.err);
        }
    }
}

/// `loggia render` and `loggia validate` run what flags allow, and print.
#[test]
fn a_package_is_printed_and_validated_with_other_functions() {
    let world = World::new(&mutators("  - exec: ./function\n  - image: example.org/f:v1\n"));
    let valid = DEPLOYMENT
        .replace("  template:\n", "  selector: {matchLabels: {a: b}}\n  template:\n    metadata: {labels: {a: b}}\n");
    world.write("pkg/deployment.yaml", &valid);
    let before = world.files();
    world.program("function", "sed 's/replicas: 1 /replicas: 9 /'");
    world.program("bin/docker", "sed 's/replicas: 9 /replica: 9 /'");
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let run = |verb: &str, flags: &[&str]| {
        let mut loggia = world.loggia();
        Said::after(loggia.args([verb, "pkg"]).args(flags).env("PATH", &path), "")
    };
    let hints = ["Kptfile:7: exec \"./function\" is not run", "--allow-exec"];
    for verb in ["render", "validate"] {
        run(verb, &[]).failed(&hints);
        run(verb, &["--allow-containers"]).failed(&["fn.exec_denied", "--allow-exec"]);
        run(verb, &["--allow-exec"])
            .failed(&["Kptfile:8: function example.org/f:v1 is not built in", "--allow-containers"]);
    }
    let said = run("render", &["--allow-exec", "--allow-containers"]).fine();
    assert!(said.out.contains("\n  replica: 9\n"), "{}", said.out);
    let said = run("validate", &["--allow-exec", "--allow-containers"]).failed(&["deployment.yaml", "spec.replica"]);
    assert!(!said.err.contains("Kptfile"), "{}", said.err);
    world.program("bin/docker", "cat");
    run("validate", &["--allow-exec", "--allow-containers"]).fine();
    world.program("function", "echo first >&2; printf 'w\\033[1mhy\\n' >&2; exit 3");
    for verb in ["render", "validate"] {
        run(verb, &["--allow-exec", "--allow-containers"])
            .failed(&["Kptfile:7: ./function: it ended with exit code 3: w[1mhy [fn.failed]"]);
    }
    run("render", &["--allow-exec", "--function-memory", "1Mi"]).failed(&["from 16Mi to 16Ti"]);
    assert_eq!(world.files(), before);
}

#[test]
fn flags_of_kpt_are_understood() {
    let world = World::new(&mutators("  - image: set-labels\n    configMap: {tier: edge}\n"));
    for line in [
        "fn render -v 3 pkg",
        "fn render -v=3 --log-flush-frequency 5s pkg",
        "fn render pkg -v9 --log-flush-frequency=1m30s",
        "functions render pkg --v=0",
        "fn eval pkg -k label -k any --keywords set -i set-labels -v 2 -- a=b",
        "pkg tree -v 4 --log-flush-frequency=5s pkg",
    ] {
        Said::after(world.loggia().args(line.split(' ')), "").fine();
    }
    let soon = ["fn", "render", "--log-flush-frequency", "soon", "pkg"];
    Said::after(world.loggia().args(soon), "").failed(&["write it as 30s"]);
    // kpt beta.56 reads the first of these variables, newer ones the second.
    world.write("pkg/Kptfile", &kptfile("pkg", &mutators("  - image: example.org/f:v1\n")));
    for engine in ["podman", "nerdctl"] {
        world.program(&format!("bin/{engine}"), &format!("cat; echo {engine} >> engines"));
    }
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let run = |variables: &[(&str, &str)]| {
        let mut loggia = world.loggia();
        let variables = variables.iter().copied();
        Said::after(loggia.args(["fn", "render", "pkg"]).env("PATH", &path).envs(variables), "").fine();
    };
    run(&[("KPT_FN_RUNTIME", "nerdctl")]);
    run(&[("KPT_FN_RUNTIME", "nerdctl"), ("KRM_FN_RUNTIME", "podman")]);
    assert_eq!(world.read("engines"), "nerdctl\npodman\n");
}

/// A container engine of our own: it writes down how it was called, and does what a function would.
#[test]
fn images_run_in_containers() {
    let world = World::new(&mutators("  - image: example.org/scale:v1\n    configMap: {replicas: \"5\"}\n"));
    world.program("bin/podman", "echo \"$*\" > calls; cat > input; sed 's/replicas: 1 /replicas: 5 /' input");
    // A machine may have docker, which would come first.
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let mut loggia = world.loggia();
    loggia.args(["fn", "render", "pkg", "--image-pull-policy", "never"]).env("PATH", path);
    Said::after(loggia.env("KRM_FN_RUNTIME", "podman"), "").fine();
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT.replace("replicas: 1 ", "replicas: 5 "));
    let calls = world.read("calls");
    for word in
        ["run --rm -i", "--network none", "--user 65534:65534", "--read-only", "--pull never example.org/scale:v1"]
    {
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
        (&["eval", "pkg"][..], &["which function?", "--image"][..]),
        (&["eval", "pkg", "--exec", "echo nonsense"], &["found \"nonsense\""]),
        (&["eval", "pkg", "--exec", "echo a: b"], &["item 1 of the list has no apiVersion"]),
        (
            &["eval", "pkg", "-i", "set-labels:v0.2.0", "--tag", ">=9", "--", "a=b"],
            &["with tag >=9", "known tags: v0."],
        ),
        (&["eval", "pkg", "-i", "set-labels:v9.9", "--", "a=b"], &["set-labels is built in under other tags: v0."]),
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
fn what_is_no_resource_is_refused() {
    let world = World::new("");
    world.write("plain/values.yaml", "a: b\n");
    for image in ["set-namespace:v0.4", "set-labels", "upsert-resource"] {
        world.run(&["eval", "plain", "-i", image, "--", "namespace=p"]).failed(&["values.yaml", "has no apiVersion"]);
    }
    assert_eq!(world.read("plain/values.yaml"), "a: b\n");
}

#[test]
fn eval_saves_the_function_in_the_pipeline() {
    let world = World::new("");
    let said = world.run(&["eval", "pkg", "-i", "set-labels:v0.2", "-s", "-t", "mutator", "--", "a=b"]).fine();
    assert!(
        said.err.contains(&format!("Added \"{PREFIX}set-labels:v0.2\" as mutator in the Kptfile.")),
        "{}",
        said.err
    );
    let saved = world.read("pkg/Kptfile");
    let entry = format!("  - image: {PREFIX}set-labels:v0.2\n    configMap:\n      a: b\n");
    let expected = kptfile("pkg", &format!("  labels:\n    a: b\n{}", mutators(&entry)));
    assert!(saved.starts_with(&expected), "{saved}");
    assert!(world.read("pkg/conf/map.yaml").contains("a: b"));
    let said = world.run(&["eval", "pkg", "-i", "set-labels:v0.2", "-s", "-t", "mutator", "--", "a=c"]).fine();
    assert!(said.err.contains("Updated"), "{}", said.err);
    assert!(world.read("pkg/Kptfile").contains("a: c"));
    world.write("pkg/labels.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: labels\ndata:\n  x: z\n");
    let before = world.read("pkg/labels.yaml");
    world.run(&["eval", "pkg", "--exec", "cat", "--fn-config", "pkg/labels.yaml", "-o", "whole"]).fine();
    assert_eq!(world.read("whole/labels.yaml"), before, "the configuration is a resource of the package too");
    world
        .run(&["eval", "pkg", "-i", "set-annotations", "-s", "--type=validator", "--fn-config", "pkg/labels.yaml"])
        .fine();
    assert!(world.read("pkg/Kptfile").contains("configPath: labels.yaml"));
    assert!(world.read("pkg/conf/map.yaml").contains("x: z"));
    world.write("out.yaml", &before);
    world
        .run(&["eval", "pkg", "-i", "set-labels", "-s", "-t", "mutator", "--fn-config", "out.yaml"])
        .failed(&["out.yaml is not in pkg"]);
}

/// A program that forgets every annotation.
const FORGETS: &str = "#!/bin/sh\nsed -e '/^    annotations:/d' -e '/^  *\\(internal\\.\\)\\{0,1\\}config\\./d'\n";

#[test]
fn what_forgets_its_place_is_put_back() {
    let world = World::new(&mutators("  - exec: forgets\n"));
    world.program("bin/forgets", FORGETS);
    for sub in ["sub", "other"] {
        world.write(&format!("pkg/{sub}/Kptfile"), &kptfile("twice", ""));
        world.write(&format!("pkg/{sub}/map.yaml"), &MAP.replace("info", sub));
    }
    let before = world.files();
    world.run(&["render", "pkg", "--allow-exec"]).fine();
    let mut after = world.files();
    after.insert("Kptfile".to_owned(), before["Kptfile"].clone());
    assert_eq!(after, before);
    world.run(&["eval", "pkg", "--exec", "forgets"]).fine();
    assert_eq!(world.files().len(), before.len());

    // A Kptfile that cannot be told from a new one is never written beside the old one's place.
    world.program("bin/renames", &FORGETS.replace("sed ", "sed -e 's/name: twice/name: new/' "));
    let before = world.files();
    world.run(&["eval", "pkg", "--exec", "renames"]).failed(&["a Kptfile that does not say whose it is"]);
    world
        .run(&["eval", "pkg", "--exec", "sed -e 's/path: Kptfile/path: moved.yaml/'", "--match-name", "pkg"])
        .failed(&["the Kptfile Kptfile may not become moved.yaml"]);
    assert_eq!(world.files(), before);
}

#[test]
fn the_configuration_is_the_file_that_was_named() {
    let world = World::new("");
    let map = |value: &str| MAP.replace("level: \"info\"", &format!("who: {value}"));
    world.write("pkg/conf.yaml", &map("inside"));
    world.write("conf.yaml", &map("outside"));
    for function in [["--image", "set-annotations"], ["--exec", "cat"]] {
        let arguments = [&["eval", "pkg", "--fn-config", "conf.yaml", "-o", "stdout"][..], &function].concat();
        let said = world.run(&arguments).fine();
        assert!(function[0] == "--exec" || said.out.contains("    who: outside\n"), "{}", said.out);
    }
    world.program("bin/configured", "#!/bin/sh\ntee seen\n");
    world.run(&["eval", "pkg", "--exec", "configured", "--fn-config", "conf.yaml"]).fine();
    let seen = world.read("seen");
    assert!(seen.split("functionConfig:").nth(1).unwrap().contains("who: outside"), "{seen}");
}

#[test]
fn one_file_is_given_to_functions() {
    let world = World::new("");
    let said = world.run(&["source", "pkg/deployment.yaml"]).fine();
    assert!(said.out.contains("path: deployment.yaml") && !said.out.contains("Kptfile"), "{}", said.out);
    world.run(&["eval", "pkg/conf/map.yaml", "-i", "set-labels", "--", "a=b"]).fine();
    assert!(world.read("pkg/conf/map.yaml").contains("    a: b\n"));
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT);
    world.run(&["eval", "pkg/README.md", "--exec", "cat"]).failed(&["pkg/README.md holds no resources"]);
}

#[test]
fn eval_does_as_kpt() {
    let world = World::new("");
    // A function is saved in the package, wherever its result goes.
    let exec = ["eval", "pkg", "--exec", "sed -e 's/replicas: 1 /replicas: 2 /'", "-s", "-t", "mutator", "-o", "out"];
    world.run(&exec).fine();
    assert!(world.read("pkg/Kptfile").contains("  - exec: \"sed "), "{}", world.read("pkg/Kptfile"));
    assert_eq!(world.read("pkg/deployment.yaml"), DEPLOYMENT);
    assert_eq!(world.read("out/Kptfile"), kptfile("pkg", ""));
    assert!(world.read("out/deployment.yaml").contains("replicas: 2 "));
    // Of a flag that is given twice the last counts.
    let said = world
        .run(&[
            "eval",
            "pkg",
            "--exec",
            "false",
            "--exec",
            "tee seen",
            "--match-kind",
            "Pod",
            "--match-kind",
            "ConfigMap",
        ])
        .fine();
    assert!(said.err.contains("\"tee seen\" on 1 resource(s)"), "{}", said.err);
    // A function without configuration is given one without data.
    let config =
        "functionConfig:\n  apiVersion: v1\n  data: {}\n  kind: ConfigMap\n  metadata:\n    name: function-input\n";
    assert!(world.read("seen").ends_with(config), "{}", world.read("seen"));
    // Results are cut to a few.
    let results = (1..=6).map(|it| format!("- {{message: m{it}, severity: info}}\n")).collect::<String>();
    world.program("bin/talks", &format!("#!/bin/sh\ncat\necho 'results:\n{results}'\n"));
    let said = world.run(&["eval", "pkg", "--exec", "talks"]).fine();
    assert!(said.err.contains("m4\n    ...(2 line(s) truncated"), "{}", said.err);
    let said = world.run(&["eval", "pkg", "--exec", "talks", "--truncate-output=false"]).fine();
    assert!(said.err.contains("m6\n") && !said.err.contains("truncated"), "{}", said.err);
}

#[test]
fn a_list_travels_as_kpt_has_it() {
    let world = World::new("");
    let list = "# names\n- a: 1 # one\n- b\n";
    world.write("plain/list.yaml", list);
    let sourced = world.run(&["source", "plain"]).fine().out;
    assert!(sourced.contains("- bareSeqNodeWrappingKey:\n"), "{sourced}");
    world.run_with(&["sink", "sunk"], &sourced).fine();
    assert_eq!(world.read("sunk/list.yaml"), list);
    assert_eq!(world.run(&["source", "plain", "-o", "unwrap"]).fine().out, list);
    world.run(&["eval", "plain", "--exec", "cat"]).failed(&["list.yaml"]);
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
    assert_eq!(world.read("sunk/Kptfile"), kptfile("pkg", "  labels:\n    a: b\n"));
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

#[test]
fn a_directory_that_was_deleted_is_no_package() {
    let world = World::new("");
    let verbs: [&[&str]; 11] = [
        &["pkg", "tree"],
        &["pkg", "init"],
        &["pkg", "init", "new"],
        &["pkg", "diff"],
        &["validate"],
        &["render"],
        &["apply", "."],
        &["fn", "render"],
        &["fn", "render", "-o", "stdout"],
        &["fn", "source"],
        &["fn", "eval", "--image", "set-labels", "--", "a=b"],
    ];
    for verb in verbs {
        let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" \"$@\"";
        let program = world.loggia().get_program().to_owned();
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(program).args(verb).current_dir(world.root());
        let said = Said::of(shell.stdin(Stdio::null()).output().unwrap());
        said.failed(&["the present directory is gone; change to one that is there"]);
    }
    let package = world.path("pkg").display().to_string();
    let script = "mkdir gone && cd gone && rmdir ../gone && exec \"$0\" render \"$1\"";
    let program = world.loggia().get_program().to_owned();
    let shell = Command::new("sh").args(["-c", script]).arg(program).arg(&package).current_dir(world.root()).output();
    Said::of(shell.unwrap()).fine();
}

#[test]
fn what_is_no_resource_is_told_with_its_place() {
    let world = World::new("");
    world.write("pkg/scalar.yaml", "apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\njust a text\n");
    let words = "expected a resource, a map with apiVersion, kind and metadata, and found a single value";
    let scalar = format!("pkg/scalar.yaml:5: {words} (");
    let said = world.run(&["source", "pkg"]).failed(&[&scalar, ".krmignore) [k8s.not_a_resource]"]);
    assert_eq!((said.out.as_str(), said.err.lines().count()), ("", 1), "{}", said.err);
    world.write("pkg/.krmignore", "scalar.yaml\n");
    world.run(&["source", "pkg"]).fine();
}

#[test]
fn a_chart_without_helm_says_what_is_missing() {
    let world = World::new("");
    world.program("bin/docker", "#!/bin/sh\necho 'docker: Error: no such service' >&2\nexit 125\n");
    let arguments = ["eval", "pkg", "-i", "render-helm-chart:v0.2.2", "--", "name=c", "releaseName=r"];
    let said = world.run_on_path(&arguments, "", &world.path("bin").display().to_string());
    said.failed(&["render-helm-chart needs helm, which is not on the PATH: install it", "no such service"]);
}

#[test]
fn a_function_that_failed_is_told_with_one_place() {
    let world = World::new(&mutators("  - image: set-namespace\n    configMap:\n      namspace: core\n"));
    let said = world.run(&["render", "pkg"]).failed(&["pkg/Kptfile:9: set-namespace: "]);
    let last = said.err.lines().last().unwrap();
    assert_eq!(last.matches("Kptfile").count(), 1, "{last}");
    let valid = Said::of(world.loggia().args(["validate", "pkg"]).output().unwrap());
    assert_eq!(valid.err.matches("Kptfile").count(), 1, "{}", valid.err);
    valid.failed(&["pkg/Kptfile:9: set-namespace: "]);
}

/// With an engine there, which has much to say of an image that it cannot find, and without one.
#[test]
fn a_misspelt_function_is_told_first() {
    let world = World::new(&mutators("  - image: set-lables\n    configMap: {a: b}\n"));
    let hint = "pkg/Kptfile:7: set-lables: did you mean set-labels, which is built in? ";
    world.run(&["render", "pkg"]).failed(&[hint]);
    world.program("bin/docker", "echo 'no such image' >&2; exit 125");
    world.run(&["render", "pkg"]).failed(&[hint, "exit code 125"]);
    let valid = Said::of(world.loggia().args(["validate", "pkg"]).output().unwrap());
    valid.failed(&["set-lables is not built in (did you mean set-labels? built in: "]);
}

/// As kpt's `fn-eval/fnconfig-missing-name` and its check of configurations with several documents.
#[test]
fn a_configuration_is_one_resource() {
    let world = World::new("");
    let before = world.files();
    let named = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: b\n";
    for (text, words) in [
        (named.replace("  name: c\n", "  labels: {}\n"), "has no metadata.name"),
        (format!("{named}---\n{named}"), "must be one resource, not 2"),
        ("# nothing\n".to_owned(), "must be one resource, not 0"),
    ] {
        world.write("config.yaml", &text);
        world.run(&["eval", "pkg", "-i", "set-labels", "--fn-config", "config.yaml"]).failed(&[
            words,
            "config.yaml:1",
            "fn.config",
        ]);
    }
    assert_eq!(world.files(), before);
}

/// What people bring by mistake: what is wrong with it, where, and what to do.
#[test]
fn what_is_no_resource_is_told_as_that() {
    let named = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n");
    let quotes = |value: &str| {
        format!(
            "a.yaml:4: a resource of a.yaml has {value} as its metadata.name, which is no text; write it in quotes "
        )
    };
    let map = "a.yaml:1: expected a resource, a map with apiVersion, kind and metadata, and found";
    for (text, told) in [
        (named("n"), quotes("false")),
        (named("123"), quotes("123")),
        ("hello\n".to_owned(), format!("{map} a single value (")),
        ("- a\n".to_owned(), format!("{map} a list (")),
        (
            "a: b\n".to_owned(),
            "a.yaml:1: a resource of a.yaml has no apiVersion (a file that holds no resources is left out by .krmignore) ["
                .to_owned(),
        ),
    ] {
        let world = World::new(&mutators("  - image: set-labels\n    configMap: {a: b}\n"));
        world.write("pkg/a.yaml", &text);
        world.run(&["render", "pkg"]).failed(&[&told]);
    }
    let world = World::new(&mutators("  - exec: \"\"\n"));
    world.run(&["render", "pkg"]).failed(&["Kptfile:7: pipeline.mutators.0: neither image nor exec is given"]);
    let world = World::new(&mutators("  - image: set-labels\n    configPath: conf\n"));
    world.run(&["render", "pkg"]).failed(&["configPath: conf is a directory; name a file in it [fn.config_missing]"]);
    world.write("pkg/web/Chart.yaml", "apiVersion: v2\nname: web\n");
    world.write("pkg/web/templates/a.yaml", &named("\"{{ .Release.Name }}\""));
    world.write("pkg/Kptfile", &kptfile("pkg", ""));
    let said = world.run(&["render", "pkg"]).failed(&["a line /web/ in .krmignore keeps them out) [package.chart]"]);
    assert_eq!(said.err.matches(" [").count(), 1, "{}", said.err);
}

#[test]
fn what_cannot_be_is_told_before_anything_runs() {
    let world = World::new(&mutators("  - image: example.org/Team/f:v1\n"));
    world
        .run(&["render", "pkg"])
        .failed(&["is no name of an image: only its host and its tag may have capital letters"]);
    for verb in ["render", "source"] {
        world.run(&[verb, "nothere"]).failed(&["there is no directory nothere; is the path right, and from here?"]);
    }
    world.run(&["render", "pkg/Kptfile"]).failed(&["pkg/Kptfile is not a directory", "[package.missing]"]);
    let other = World::new(&mutators("  - exec: ./function\n"));
    other
        .run(&["render", "pkg"])
        .failed(&["pkg/Kptfile:7: ./function: it is not run: programs may do anything here; "]);
    for flag in ["--image", "--exec"] {
        world.run(&["eval", "pkg", flag, ""]).failed(&["a value is required for", flag]);
    }
    let item = "apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  annotations: {config.kubernetes.io/path: ../x.yaml}\n";
    for (input, told) in [
        ("a: [", "the resources cannot be read: it is not YAML: "),
        (item, "the resources cannot be written: path \"../x.yaml\" is not allowed: it leaves the package ["),
    ] {
        world.run_with(&["sink", "out"], input).failed(&[told, " [fn.input_invalid]"]);
    }
}

#[test]
fn json_files_are_resources() {
    let world = World::new(&mutators("  - image: set-annotations\n    configMap: {a: b}\n"));
    let kept = "{\"kind\": \"Thing\", \"apiVersion\": \"x/v1\",\n\t\"metadata\": {\"name\": \"l\"}}";
    let map = "{\"kind\": \"ConfigMap\", \"apiVersion\": \"v1\", \"metadata\": {\"name\": \"j\"}}";
    world.write("pkg/j.json", map);
    let list = world.run(&["source", "pkg"]).fine().out;
    assert!(list.contains("path: j.json"), "{list}");
    world.run(&["render", "pkg"]).fine();
    let expected = "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"ConfigMap\",\n  \"metadata\": {\n    \"annotations\": {\n      \"a\": \"b\"\n    },\n    \"name\": \"j\"\n  }\n}\n";
    assert_eq!(world.read("pkg/j.json"), expected);
    world.run_with(&["sink", "sunk"], &world.run(&["source", "pkg"]).fine().out).fine();
    assert_eq!(world.read("sunk/j.json"), expected);
    world.write("pkg/k.json", kept);
    world.run(&["eval", "pkg", "--exec", "cat"]).fine();
    assert_eq!(world.read("pkg/k.json"), kept);
    world.run(&["eval", "pkg", "--exec", "sed 's/name: j$/name: i/'"]).fine();
    assert_eq!(world.read("pkg/j.json"), expected.replace("\"j\"", "\"i\""));
}

/// As kpt writes lists: how far the lists of each file are indented travels with its resources.
#[test]
fn lists_say_how_they_are_indented() {
    let world = World::new("");
    world.write("pkg/wide.yaml", &format!("{MAP}list:\n  - 1\n"));
    let list = world.run(&["source", "pkg"]).fine().out;
    let style = |style: &str| list.matches(&format!("internal.config.kubernetes.io/seqindent: {style}\n")).count();
    assert_eq!((style("wide"), style("compact")), (1, 3), "{list}");
    world.run_with(&["sink", "sunk"], &list).fine();
    assert_eq!(world.read("sunk/wide.yaml"), world.read("pkg/wide.yaml"));
}

/// As kpt's `fn-render/basicpipeline-semver`.
#[test]
fn a_range_of_versions_chooses_a_function() {
    let range = "  - image: set-namespace\n    tag: \"0.4.1 - 0.4.3\"\n    configMap: {namespace: core}\n";
    let world = World::new(&mutators(range));
    let said = world.run(&["render", "pkg"]).fine();
    assert!(said.err.contains(&format!("[RUNNING] \"{PREFIX}set-namespace:v0.4\"")), "{}", said.err);
    assert!(world.read("pkg/conf/map.yaml").contains("namespace: core"));
}

/// As kpt's results: what a remark is about, which document of its file that is, and why a function did not run.
#[test]
fn results_say_what_they_are_about() {
    let world = World::new(&mutators("  - image: kubeconform\n"));
    let service = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  namespace: core\nspec:\n  ports: 5\n";
    world.write("pkg/two.yaml", &format!("{MAP}---\n{service}"));
    world.run(&["render", "pkg", "--results-dir", "r"]).failed(&["two.yaml"]);
    let results = world.read("r/results.yaml");
    for words in [
        "index: 1\n",
        "resourceRef:\n      apiVersion: v1\n      kind: Service\n      name: s\n      namespace: core\n",
    ] {
        assert!(results.contains(words), "{words:?} is not in {results}");
    }
    let world = World::new(&mutators("  - image: set-image\n"));
    world.run(&["render", "pkg", "--results-dir", "r"]).failed(&["set-image"]);
    let results = world.read("r/results.yaml");
    assert!(results.contains("severity: error") && results.contains("message:"), "{results}");
}
