//! What functions take and do, for people: those that are built in, and those that other programs run.

use serde::Serialize;

use super::{Native, Opt, short_name};

/// A function's documentation.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Guide {
    /// Name in the catalogue.
    pub name: &'static str,
    /// Names that older releases were published under.
    pub aliases: &'static [&'static str],
    /// Published tag families; none where tags mean nothing.
    pub families: &'static [&'static str],
    /// What it does, in a line.
    pub summary: &'static str,
    /// Its own kind of configuration (`fn.kpt.dev/v1alpha1`), beside a `ConfigMap`.
    pub kind: Option<&'static str>,
    /// Programs, one of which has to be on the `PATH`; none for what is built in.
    pub programs: &'static [&'static str],
    /// What it takes.
    pub options: &'static [Opt],
    /// A Kptfile's pipeline, and what else an example needs, as comments.
    pub example: &'static str,
    /// Behaviour to know of, and how tags differ.
    pub notes: &'static str,
}

impl Native {
    /// Its documentation.
    #[must_use]
    pub const fn guide(&self) -> Guide {
        Guide {
            name: self.name,
            aliases: self.aliases,
            families: self.families,
            summary: self.summary,
            kind: self.kind,
            programs: &[],
            options: self.options,
            example: self.example,
            notes: self.notes,
        }
    }
}

/// The functions that programs on the `PATH` run.
pub(super) const PROGRAMS: &[Guide] = &[HELM, KUSTOMIZE];

/// The one that an image or a name means.
pub(super) fn of_program(image: &str) -> Option<Guide> {
    PROGRAMS.iter().find(|guide| guide.name == short_name(image)).copied()
}

const fn opt(name: &'static str, required: bool, text: &'static str) -> Opt {
    Opt { name, required, text }
}

const HELM: Guide = Guide {
    name: "render-helm-chart",
    aliases: &[],
    families: &["v0.1", "v0.2"],
    summary: "renders charts of the package, or fetched ones, by helm",
    kind: Some("RenderHelmChart"),
    programs: &["helm"],
    options: &[
        opt("name", true, "the chart; its directory is CHARTHOME/NAME"),
        opt("chartHome", false, "directory of the package with charts; in RenderHelmChart in helmGlobals [tmp/charts]"),
        opt("repo", false, "https://, http:// or oci://: where a chart comes from that is not in the package"),
        opt("version", false, "its version, or a range of versions [the newest]"),
        opt("releaseName", false, "name of the release [the chart's]"),
        opt("namespace", false, "namespace of the release"),
        opt("nameTemplate", false, "how the release is named, instead"),
        opt("includeCRDs", false, "\"true\": the chart's definitions too"),
        opt("skipTests", false, "\"true\": without what is only for `helm test`"),
        opt("valuesFile", false, "a file of the package with values"),
        opt("helmCharts", false, "in RenderHelmChart: a list of charts"),
        opt("helmCharts[].chartArgs", false, "in RenderHelmChart: name, version and repo of a chart"),
        opt(
            "helmCharts[].templateOptions",
            false,
            "in RenderHelmChart: the others, and apiVersions (a list), values.valuesFiles (a list), values.valuesInline \
             (a map), values.valuesMerge (override, merge or replace)",
        ),
    ],
    example: "pipeline:
  mutators:
  - image: render-helm-chart:v0.2
    configMap:
      name: web
      releaseName: prod
      namespace: core
# .krmignore:
# tmp
# tmp/charts/web/Chart.yaml:
# apiVersion: v2
# name: web
# version: 1.2.3
# tmp/charts/web/templates/web.yaml:
# apiVersion: v1
# kind: ConfigMap
# metadata:
#   name: {{ .Release.Name }}-web
#   namespace: {{ .Release.Namespace }}
",
    notes: "What the chart gives is added to the package; a resource that is there already stays as it is, so delete it to \
            render it anew. Nothing is fetched unless the network is allowed (--allow-network, for eval --network). \
            helm's version is part of the digest of what was rendered. chartArgs.auth is refused: sign in with helm.",
};

const KUSTOMIZE: Guide = Guide {
    name: "kustomize",
    aliases: &[],
    families: &[],
    summary: "builds an overlay of the package by kustomize, or by kubectl",
    kind: None,
    programs: &["kustomize", "kubectl"],
    options: &[opt("path", false, "directory of the package with a kustomization [the package's own]")],
    example: "pipeline:
  mutators:
  - image: kustomize
    configMap:
      path: overlay
# .krmignore:
# overlay
# overlay/kustomization.yaml:
# namePrefix: prod-
# resources: [web.yaml]
# overlay/web.yaml:
# apiVersion: v1
# kind: ConfigMap
# metadata:
#   name: web
",
    notes: "What is built is added to the package, and replaces a resource of the same kind and name. An overlay reads \
            nothing outside of the package, and nothing is fetched unless the network is allowed. The program's version is \
            part of the digest of what was rendered.",
};
