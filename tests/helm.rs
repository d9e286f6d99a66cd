//! Charts and overlays by the real programs: helm, kustomize, kubectl.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says what it did not run"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use program::{Folder, Said};
use registry::{Registry, checked, tool};

#[path = "support/program.rs"]
mod program;
#[path = "support/registry.rs"]
mod registry;

const TEMPLATE: &str = "apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-web
  namespace: {{ .Release.Namespace }}
data:
  color: {{ .Values.color | quote }}
  live: {{ .Values.live | quote }}
  has: {{ .Capabilities.APIVersions.Has \"example.com/v1\" | quote }}
";

/// A chart in a folder.
fn chart(folder: &Folder, place: &str) {
    folder.write(&format!("{place}/Chart.yaml"), "apiVersion: v2\nname: web\nversion: 1.2.3\n");
    folder.write(&format!("{place}/values.yaml"), "color: blue\nlive: true\n");
    folder.write(&format!("{place}/templates/web.yaml"), TEMPLATE);
    folder.write(&format!("{place}/templates/NOTES.txt"), "notes\n");
    folder.write(
        &format!("{place}/templates/tests/probe.yaml"),
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: probe\n  annotations:\n    helm.sh/hook: test\n",
    );
    folder.write(
        &format!("{place}/crds/thing.yaml"),
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata:\n  name: things.example.com\n",
    );
}

fn package(folder: &Folder, name: &str, pipeline: &str) {
    let head = format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n");
    folder.write(&format!("{name}/Kptfile"), &format!("{head}pipeline:\n  mutators:\n{pipeline}"));
}

/// A folder with only these programs of `tests/tools/build`, to be the `PATH`.
fn programs(folder: &Folder, names: &[&str]) -> Option<PathBuf> {
    let path = folder.path("bin");
    std::fs::create_dir_all(&path).unwrap();
    for name in names {
        symlink(tool(name)?, path.join(name)).unwrap();
    }
    Some(path)
}

fn render(folder: &Folder, path: &Path, args: &[&str]) -> Said {
    let mut loggia = folder.loggia();
    Said::of(loggia.args(["fn", "render"]).args(args).env("PATH", path).output().unwrap())
}

const OWN: &str = "apiVersion: fn.kpt.dev/v1alpha1
kind: RenderHelmChart
metadata:
  name: charts
  annotations:
    config.kubernetes.io/local-config: \"true\"
helmGlobals:
  chartHome: charts
helmCharts:
- chartArgs:
    name: web
  templateOptions:
    releaseName: prod
    namespace: core
    apiVersions: [example.com/v1]
    skipTests: true
    values:
      valuesFiles: [values/prod.yaml]
      valuesInline:
        live: false
";

#[test]
fn a_chart_of_the_package_is_rendered_as_helm_does_it() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["helm"]) else { return };
    chart(&folder, "p/charts/web");
    folder.write("p/.krmignore", "charts\nvalues\n");
    folder.write("p/values/prod.yaml", "color: red\nlive: true\n");
    folder.write("p/charts.yaml", OWN);
    package(
        &folder,
        "p",
        "  - image: render-helm-chart:v0.2.2\n    configPath: charts.yaml\n  - image: set-labels:v0.2.0\n    configMap:\n      app: web\n",
    );
    let said = render(&folder, &path, &["p"]).fine();
    assert!(said.err.contains("rendered the chart web by helm v4.3.1"), "{}", said.err);
    let expected = "---
apiVersion: v1
kind: ConfigMap
metadata:
  name: prod-web
  namespace: core
  labels:
    app: web
data:
  color: \"red\"
  live: \"false\"
  has: \"true\"
";
    let files: Vec<String> = std::fs::read_dir(folder.path("p"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let made =
        files.iter().find(|name| name.contains("prod-web")).or_else(|| files.iter().find(|name| *name == "core"));
    let made = match made.map(String::as_str) {
        Some("core") => "p/core/configmap_prod-web.yaml".to_owned(),
        Some(name) => format!("p/{name}"),
        None => panic!("{files:?}"),
    };
    let text = folder.read(&made);
    assert_eq!(
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>(),
        expected.lines().skip(1).collect::<Vec<_>>()
    );
    assert!(!files.iter().any(|name| name.contains("probe") || name.contains("thing")), "{files:?}");
    let again = render(&folder, &path, &["p"]).fine();
    assert_eq!(folder.read(&made), text, "{}", again.err);
}

#[test]
fn helm_is_what_is_compared_with() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["helm"]) else { return };
    chart(&folder, "p/tmp/charts/web");
    folder.write("p/.krmignore", "tmp\n");
    package(
        &folder,
        "p",
        "  - image: render-helm-chart\n    configMap:\n      name: web\n      includeCRDs: \"true\"\n",
    );
    let ours = render(&folder, &path, &["p", "-o", "unwrap"]).fine().out;
    let helm = Command::new(path.join("helm"))
        .args(["template", "web", "p/tmp/charts/web", "--include-crds"])
        .current_dir(folder.root())
        .output();
    let theirs = checked("helm", &["template"], &helm.unwrap());
    let documents = |text: &str| {
        let of = |part: &str| {
            part.lines()
                .filter(|line| !line.starts_with('#') && !line.is_empty())
                .map(|line| format!("{line}\n"))
                .collect::<String>()
        };
        let mut all: Vec<String> =
            text.split("---\n").map(of).filter(|part| !part.is_empty() && !part.contains("kind: Kptfile")).collect();
        all.sort();
        all
    };
    assert_eq!(documents(&ours), documents(&theirs));
    assert_eq!(documents(&ours).len(), 3);
}

#[test]
fn charts_are_fetched_when_that_is_allowed() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["helm"]) else { return };
    let Some(registry) = Registry::start(&folder.path("registry"), false) else { return };
    chart(&folder, "web");
    let helm = |args: &[&str]| {
        let output = Command::new(path.join("helm"))
            .args(args)
            .current_dir(folder.root())
            .env("HOME", folder.path("home"))
            .output();
        checked("helm", args, &output.unwrap())
    };
    helm(&["package", "web"]);
    helm(&["push", "web-1.2.3.tgz", &registry.place("charts"), "--plain-http"]);
    let config = format!(
        "      name: web\n      version: 1.2.3\n      repo: {}\n      skipTests: \"true\"\n",
        registry.place("charts")
    );
    package(&folder, "p", &format!("  - image: render-helm-chart\n    configMap:\n{config}"));
    let denied = render(&folder, &path, &["p"]);
    assert!(denied.code != 0 && denied.err.contains("--allow-network"), "{}", denied.err);
    let said = render(&folder, &path, &["p", "--allow-network", "-o", "unwrap"]).fine();
    assert!(said.out.contains("name: web-web") && said.out.contains("color: \"blue\""), "{}", said.out);
}

#[test]
fn what_helm_has_against_a_chart_is_told() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["helm"]) else { return };
    chart(&folder, "p/tmp/charts/web");
    folder.write("p/tmp/charts/web/templates/bad.yaml", "{{ fail \"no color\" }}\n");
    folder.write("p/.krmignore", "tmp\n");
    package(&folder, "p", "  - image: render-helm-chart\n    configMap:\n      name: web\n");
    let said = render(&folder, &path, &["p"]);
    assert!(said.code != 0 && said.err.contains("no color"), "{}", said.err);
    let none = folder.path("none");
    std::fs::create_dir(&none).unwrap();
    let said = render(&folder, &none, &["p"]);
    assert!(said.code != 0 && said.err.contains("helm, which is not on the PATH"), "{}", said.err);
}

fn overlay(folder: &Folder) {
    folder.write("p/kustomize/base/kustomization.yaml", "resources: [web.yaml]\n");
    folder.write(
        "p/kustomize/base/web.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n  color: blue\n",
    );
    let kustomization = "resources: [../base]\nnamePrefix: prod-\npatches:\n- patch: '[{\"op\": \"replace\", \"path\": \"/data/color\", \"value\": \"red\"}]'\n  target: {kind: ConfigMap}\n";
    folder.write("p/kustomize/prod/kustomization.yaml", kustomization);
    folder.write("p/.krmignore", "kustomize\n");
    package(folder, "p", "  - image: kustomize\n    configMap:\n      path: kustomize/prod\n");
}

#[test]
fn an_overlay_is_built_by_kustomize_or_kubectl() {
    for (name, words) in [("kustomize", "by kustomize v5.8.2"), ("kubectl", "by kubectl Client Version: v1.36.3")] {
        let folder = Folder::new();
        let Some(path) = programs(&folder, &[name]) else { return };
        overlay(&folder);
        let said = render(&folder, &path, &["p"]).fine();
        assert!(said.err.contains(words), "{}", said.err);
        let made = folder.read("p/configmap_prod-web.yaml");
        assert!(made.contains("name: prod-web") && made.contains("color: red"), "{made}");
        folder.edit("p/kustomize/base/web.yaml", "color: blue", "color: blue\n  size: small");
        render(&folder, &path, &["p"]).fine();
        assert!(folder.read("p/configmap_prod-web.yaml").contains("size: small"), "what was built before is replaced");
    }
}

#[test]
fn an_overlay_is_printed_and_validated() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["kustomize"]) else { return };
    overlay(&folder);
    for verb in ["render", "validate"] {
        let run = |args: &[&str]| Said::of(folder.loggia().arg(verb).args(args).env("PATH", &path).output().unwrap());
        run(&["p"]).failed(&["p/Kptfile:7: ", "kustomize", "--allow-exec"]);
        run(&["p", "--allow-containers"]).failed(&["fn.no_runner"]);
        let said = run(&["p", "--allow-exec"]).fine();
        assert!(verb == "validate" || said.out.contains("name: prod-web"), "{}", said.out);
        // What the real program needs at least.
        run(&["p", "--allow-exec", "--function-memory", "128Mi"]).fine();
    }
    assert!(!folder.path("p/configmap_prod-web.yaml").exists(), "nothing was written");
}

/// The folder that a program works in is nobody's concern.
#[test]
fn what_a_program_says_of_files_is_told_as_seen_from_the_package() {
    let folder = Folder::new();
    overlay(&folder);
    folder.program("bin/kustomize", "echo \"reading $PWD/kustomize/x.yaml in $PWD: no\" >&2; exit 1");
    let said = render(&folder, &folder.path("bin"), &["p"]);
    assert!(said.err.contains("reading kustomize/x.yaml in .: no"), "{}", said.err);
    assert!(said.code == 2 && !said.err.contains("loggia-generate-"), "{}", said.err);
}

#[test]
fn an_overlay_reaches_nothing_outside() {
    let folder = Folder::new();
    let Some(path) = programs(&folder, &["kustomize"]) else { return };
    overlay(&folder);
    folder.write("secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: secret\n");
    for resource in
        ["../../../../secret.yaml", "https://example.com/x.yaml", "https://example.com/a/b?ref=v1", "/etc/passwd"]
    {
        folder.write("p/kustomize/prod/kustomization.yaml", &format!("resources: ['{resource}']\n"));
        let said = render(&folder, &path, &["p"]);
        assert!(said.code != 0 && said.err.contains("kustomize ended with exit code 1"), "{resource}: {}", said.err);
        assert!(!said.err.contains("loggia-generate-"), "paths are those of the package: {}", said.err);
    }
}

/// The examples of `loggia fn doc`, with the files that they have as comments.
#[test]
fn what_is_told_of_charts_and_overlays_works() {
    for (name, program, made) in [
        ("render-helm-chart", "helm", "core/configmap_prod-web.yaml"),
        ("kustomize", "kustomize", "configmap_prod-web.yaml"),
    ] {
        let folder = Folder::new();
        let Some(path) = programs(&folder, &[program]) else { return };
        let told = Said::of(folder.loggia().args(["fn", "doc", name, "-o", "json"]).output().unwrap()).fine();
        let guide: serde_json::Value = serde_json::from_str(&told.out).unwrap();
        let example = guide["example"].as_str().unwrap();
        folder.write("p/Kptfile", &format!("apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n{example}"));
        let mut files: Vec<(String, String)> = Vec::new();
        for line in example.lines().filter_map(|line| line.strip_prefix("# ")) {
            match line.strip_suffix(':').filter(|name| !name.contains(' ') && name.contains('.')) {
                Some(name) => files.push((name.to_owned(), String::new())),
                None => files.last_mut().unwrap().1.push_str(&format!("{line}\n")),
            }
        }
        assert!(files.len() >= 3, "{files:?}");
        for (name, text) in &files {
            folder.write(&format!("p/{name}"), text);
        }
        render(&folder, &path, &["p"]).fine();
        assert!(folder.read(&format!("p/{made}")).contains("name: prod-web"));
        let page = Said::of(folder.loggia().args(["fn", "doc", "-i", name]).output().unwrap()).fine().out;
        assert!(page.contains("Run by") && page.contains(program), "{page}");
    }
}
