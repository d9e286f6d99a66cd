use super::*;
use crate::domain::package::external::Program;
use crate::domain::source::FileTree;

fn request(config: &str) -> Request {
    let item = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a # kept\n";
    let list = wire::write(&[item.to_owned()], Some(config));
    Request { program: Program::Image("f".to_owned()), list, files: FileTree::new() }
}

fn charts(config: &str) -> Result<Vec<Chart>, String> {
    match Generator::of("render-helm-chart:v0.2.2", &request(config)) {
        Some(Ok(Generator::Helm(charts))) => Ok(charts),
        Some(Err(failure)) => Err(failure.to_string()),
        other => Err(format!("{other:?}")),
    }
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n";
const OWN: &str = "apiVersion: fn.kpt.dev/v1alpha1\nkind: RenderHelmChart\nmetadata: {name: c}\n";

#[test]
fn images_are_told_apart() {
    let of = |image: &str| Generator::of(image, &request(&format!("{MAP}  name: web\n")));
    assert!(matches!(
        of("ghcr.io/kptdev/krm-functions-catalog/render-helm-chart:v0.2.2"),
        Some(Ok(Generator::Helm(_)))
    ));
    assert!(of("gcr.io/kpt-fn/render-helm-chart@sha256:abc").is_none(), "a digest pins other bytes");
    assert!(of("example.com/render-helm-chart:v1").is_none() && of("set-labels").is_none());
    assert!(matches!(of("kustomize"), Some(Err(_))));
}

#[test]
fn configurations_become_arguments() {
    let chart = charts(&format!(
        "{MAP}  name: web\n  releaseName: prod\n  namespace: core\n  valuesFile: v/prod.yaml\n  skipTests: 'true'\n"
    ));
    let arguments = chart.unwrap()[0].template("./tmp/charts/web", "../inline").join(" ");
    assert_eq!(arguments, "template prod ./tmp/charts/web --namespace core --values v/prod.yaml --skip-tests");
    let charts = charts(&format!(
        "{OWN}helmGlobals: {{chartHome: ./charts/}}\nhelmCharts:\n- chartArgs: {{name: web, version: 1.2.3, repo: 'https://h.io/charts'}}\n  \
         templateOptions:\n    apiVersions: [v1/Pod]\n    includeCRDs: true\n    values: {{valuesInline: {{a: {{b: false}}}}, valuesFiles: [f.yaml], valuesMerge: merge}}\n\
         - chartArgs: {{name: db, repo: 'oci://h.io/charts/'}}\n  templateOptions: {{nameTemplate: x, values: {{valuesInline: {{a: 1}}, valuesFiles: [f.yaml], valuesMerge: replace}}}}\n"
    ))
    .unwrap();
    let [web, db] = charts.as_slice() else { panic!("{charts:?}") };
    assert_eq!((web.directory().as_str(), web.values_inline.as_str()), ("charts/web", "a:\n  b: false\n"));
    let arguments = web.template("c", "i").join(" ");
    assert_eq!(arguments, "template web c --values i --values f.yaml --api-versions v1/Pod --include-crds");
    assert_eq!(web.pull("to").join(" "), "pull web --repo https://h.io/charts --version 1.2.3 --untar --untardir to");
    assert_eq!(db.template("c", "i").join(" "), "template c --name-template x --values i");
    assert_eq!(db.pull("to").join(" "), "pull oci://h.io/charts/db --untar --untardir to");
    let filled = Chart { values_files: Vec::new(), ..web.clone() };
    assert!(
        filled.template("c", "i").join(" ").contains("--values i --values c/values.yaml"),
        "the chart's own values go before"
    );
}

#[test]
fn configurations_that_mean_nothing_are_refused() {
    let table = [
        (format!("{MAP}  nam: web\n"), "data.nam is not known"),
        (format!("{MAP}  name: ''\n"), "name: path \"\" is not allowed: it is empty [path.name_invalid]"),
        (format!("{MAP}  name: ../web\n"), "it leaves the package [path.escape]"),
        (format!("{MAP}  name: web\n  chartHome: /etc\n"), "it is absolute [path.escape]"),
        (format!("{MAP}  name: web\n  valuesFile: ../../secret\n"), "it leaves the package [path.escape]"),
        (format!("{MAP}  name: web\n  valuesFile: https://h.io/v.yaml\n"), "only files of the package"),
        (format!("{MAP}  name: web\n  releaseName: --post-renderer=sh\n"), "begins with a dash"),
        (format!("{MAP}  name: web\n  repo: file:///etc\n"), "begins with https://"),
        (format!("{MAP}  name: web\n  repo: --plain-http\n"), "begins with a dash"),
        (format!("{OWN}helmCharts: []\n"), "names 0 charts"),
        (format!("{OWN}helmChart: []\n"), "RenderHelmChart.helmChart is not known"),
        (format!("{OWN}helmCharts:\n- chartArgs: {{name: web, auth: {{kind: Secret}}}}\n"), "auth is not supported"),
        (
            format!(
                "{OWN}helmCharts:\n- chartArgs: {{name: web}}\n  templateOptions: {{values: {{valuesMerge: maybe}}}}\n"
            ),
            "valuesMerge is \"maybe\"",
        ),
        ("kind: Other\n".to_owned(), "give a RenderHelmChart or a ConfigMap"),
    ];
    for (config, words) in table {
        let error = charts(&config).unwrap_err();
        let code = if words.ends_with(']') { "" } else { "[fn.config]" };
        assert!(error.contains(words) && error.ends_with(code), "{words}: {error}");
        assert_eq!(error.matches(" [").count(), 1, "{error}");
    }
    let path = |path: &str| Generator::of("kustomize", &request(&format!("{MAP}  path: {path}\n"))).unwrap();
    assert_eq!(path("./overlays/prod/"), Ok(Generator::Kustomize { directory: "overlays/prod".to_owned() }));
    assert_eq!(path("."), Ok(Generator::Kustomize { directory: String::new() }));
    assert!(path("../x").is_err() && path("/etc").is_err());
}

#[test]
fn what_is_there_already_stays_or_is_replaced() {
    let generated = b"---\n# Source: a chart\n---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata: {x: z, enabled: yes}\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: a\n".to_vec();
    let request = request("kind: ConfigMap\n");
    let answer = |generator: Generator| {
        String::from_utf8(
            generator.answer(&request, std::slice::from_ref(&generated), &["by helm v4".to_owned()]).unwrap(),
        )
        .unwrap()
    };
    let helm = answer(Generator::Helm(Vec::new()));
    assert!(helm.contains("name: a # kept\n") && !helm.contains("x: z") && helm.contains("kind: Service"), "{helm}");
    assert!(helm.ends_with("results:\n- message: by helm v4\n  severity: info\n"), "{helm}");
    let kustomize = answer(Generator::Kustomize { directory: String::new() });
    assert!(!kustomize.contains("# kept") && kustomize.contains("x: z"), "{kustomize}");
    assert!(kustomize.contains("enabled: true"), "as Kubernetes reads it: {kustomize}");
    let error = Generator::Helm(Vec::new()).answer(&request, &[b"a: [".to_vec()], &[]).unwrap_err();
    assert_eq!(error.code, "fn.output_invalid");
}
