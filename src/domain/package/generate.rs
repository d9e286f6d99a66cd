//! Charts and overlays: what a function's configuration asks of `helm` and `kustomize`, and how what they print becomes
//! resources. Nothing is run here.
//!
//! Source: the catalogue's `render-helm-chart` (`RenderHelmChart` of `fn.kpt.dev/v1alpha1`, or a `ConfigMap`). Three
//! things differ: a release without a name is called like its chart and not by a random name, inline values that are
//! empty or false count, and credentials come from helm's own files and not from a Secret.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Value, json};

use super::external::{Failure, Request};
use super::functions::{is_pinned, short_name};
use super::wire;
use crate::domain::krm::document::{Limits, YamlFile, to_yaml};
use crate::domain::source::check_path;

/// Where charts of a package are, unless its configuration says it.
const HOME: &str = "tmp/charts";
/// Most charts of one function.
const CHARTS: usize = 50;

/// What a function generates resources with.
#[derive(Debug, Clone, PartialEq)]
pub enum Generator {
    /// `render-helm-chart`.
    Helm(Vec<Chart>),
    /// `kustomize`: a directory of the package with a kustomization.
    Kustomize {
        /// The directory; empty for the package's own.
        directory: String,
    },
}

/// A chart, and how it is rendered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chart {
    /// `chartHome`: directory of the package with the directories of charts.
    pub home: String,
    /// `name`.
    pub name: String,
    /// `version`, or a range of versions; empty for the newest.
    pub version: String,
    /// `repo`: `https://` or `oci://`, where the chart comes from when it is not in the package; empty when it can only
    /// be there.
    pub repo: String,
    /// `releaseName`; the chart's name where there is none.
    pub release: String,
    /// `namespace`.
    pub namespace: String,
    /// `nameTemplate`.
    pub name_template: String,
    /// `apiVersions`.
    pub api_versions: Vec<String>,
    /// `includeCRDs`.
    pub include_crds: bool,
    /// `skipTests`.
    pub skip_tests: bool,
    /// `valuesFiles`: files of the package.
    pub values_files: Vec<String>,
    /// `valuesInline`, as YAML; empty for none.
    pub values_inline: String,
    /// `valuesMerge`.
    pub merge: Merge,
}

/// `valuesMerge`: what inline values do to those of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Merge {
    /// They go before them.
    #[default]
    Override,
    /// They fill what the files leave open.
    Merge,
    /// The files do not count.
    Replace,
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new("fn.config", message)
}

impl Generator {
    /// What an image asks for; `None` when it is neither of the two functions, or pinned by a digest.
    ///
    /// # Errors
    /// A [`Failure`] with the code `fn.config` for a configuration that means nothing.
    #[must_use]
    pub fn of(image: &str, request: &Request) -> Option<Result<Self, Failure>> {
        if is_pinned(image, None) {
            return None;
        }
        match short_name(image) {
            "render-helm-chart" => Some(config(&request.list).and_then(|config| helm(&config))),
            "kustomize" => Some(config(&request.list).and_then(|config| kustomize(&config))),
            _ => None,
        }
    }

    /// The answer to a request: its resources, the generated ones, and remarks about how they were made. A resource
    /// that is there already stays when a chart has it too, as in the catalogue; kustomize replaces it.
    ///
    /// # Errors
    /// A [`Failure`] with the code `fn.output_invalid` when what was generated is no YAML.
    pub fn answer(&self, request: &Request, generated: &[Vec<u8>], remarks: &[String]) -> Result<Vec<u8>, Failure> {
        let unreadable =
            |message: String| Failure::new("fn.output_invalid", format!("its output cannot be used: {message}"));
        let mut items = wire::read(request.list.as_bytes()).map_err(unreadable)?.items;
        let mut places: BTreeMap<[String; 4], usize> = BTreeMap::new();
        for (at, item) in items.iter().enumerate() {
            places.entry(identity(&item.value)).or_insert(at);
        }
        for output in generated {
            for item in wire::read(output).map_err(unreadable)?.items.into_iter().filter(|item| !item.value.is_null()) {
                match (self, places.entry(identity(&item.value))) {
                    (_, Entry::Vacant(place)) => {
                        place.insert(items.len());
                        items.push(item);
                    }
                    (Self::Helm(_), Entry::Occupied(_)) => {}
                    (Self::Kustomize { .. }, Entry::Occupied(place)) => items[*place.get()] = item,
                }
            }
        }
        // What charts and kustomize write is for Kubernetes; the answer is read as that of any function.
        let texts: Result<Vec<String>, _> = items.iter().map(|item| wire::spelled_out(&item.text)).collect();
        let texts = texts.map_err(|error| unreadable(error.to_string()))?;
        let results: Vec<Value> =
            remarks.iter().map(|message| json!({"message": message, "severity": "info"})).collect();
        Ok((wire::write(&texts, None) + &to_yaml(&json!({"results": results}))).into_bytes())
    }
}

/// Group, kind, namespace and name.
fn identity(value: &Value) -> [String; 4] {
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let group = text("/apiVersion").split_once('/').map_or("", |(group, _)| group);
    [group, text("/kind"), text("/metadata/namespace"), text("/metadata/name")].map(str::to_owned)
}

fn config(list: &str) -> Result<Value, Failure> {
    let limits = Limits { bytes: list.len().max(1), documents: 1, depth: 70, nodes: 4_000_000, aliases: 10_000 };
    let file = YamlFile::parse(list.as_bytes(), &limits).map_err(|error| wrong(error.to_string()))?;
    let value = file.value(0).map_err(|error| wrong(error.to_string()))?;
    Ok(value.get("functionConfig").cloned().unwrap_or(Value::Null))
}

fn kustomize(config: &Value) -> Result<Generator, Failure> {
    let data = texts(config, "data", &["path"])?;
    let directory = data.trim_start_matches("./").trim_end_matches('/');
    let directory = if directory == "." { "" } else { directory };
    if !directory.is_empty() {
        inside(directory, "data.path")?;
    }
    Ok(Generator::Kustomize { directory: directory.to_owned() })
}

/// The one text that a map may hold.
fn texts(config: &Value, field: &str, known: &[&str]) -> Result<String, Failure> {
    let Some(data) = config.get(field).and_then(Value::as_object) else { return Ok(String::new()) };
    if let Some(other) = data.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(wrong(format!("{field}.{other} is not known; there is {}", known.join(", "))));
    }
    Ok(data.values().next().and_then(Value::as_str).unwrap_or_default().to_owned())
}

fn inside(path: &str, field: &str) -> Result<(), Failure> {
    check_path(path).map_err(|error| Failure { code: error.code, ..wrong(format!("{field}: {error}")) })
}

fn helm(config: &Value) -> Result<Generator, Failure> {
    let text = |field: &str| config.get(field).and_then(Value::as_str).unwrap_or_default();
    let charts = match text("kind") {
        "RenderHelmChart" => own_kind(config)?,
        "ConfigMap" => vec![config_map(config)?],
        other => {
            return Err(wrong(format!(
                "its configuration is of kind {other:?}; give a RenderHelmChart or a ConfigMap"
            )));
        }
    };
    if charts.is_empty() || charts.len() > CHARTS {
        return Err(wrong(format!("helmCharts names {} charts; it may name 1 to {CHARTS}", charts.len())));
    }
    charts.iter().try_for_each(check)?;
    Ok(Generator::Helm(charts))
}

/// Fields that a map may have; what is not known is told, because a typo would change what is deployed.
fn known(value: &Value, place: &str, fields: &[&str]) -> Result<(), Failure> {
    match value.as_object().into_iter().flatten().find(|(key, _)| !fields.contains(&key.as_str())) {
        Some((key, _)) => Err(wrong(format!("{place}.{key} is not known; there are {}", fields.join(", ")))),
        None => Ok(()),
    }
}

const DATA: [&str; 11] = [
    "chartHome",
    "configHome",
    "name",
    "version",
    "repo",
    "releaseName",
    "namespace",
    "nameTemplate",
    "includeCRDs",
    "skipTests",
    "valuesFile",
];

fn config_map(config: &Value) -> Result<Chart, Failure> {
    let data = config.get("data").cloned().unwrap_or(Value::Null);
    known(&data, "data", &DATA)?;
    let text = |field: &str| data.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Chart {
        home: text("chartHome"),
        name: text("name"),
        version: text("version"),
        repo: text("repo"),
        release: text("releaseName"),
        namespace: text("namespace"),
        name_template: text("nameTemplate"),
        include_crds: text("includeCRDs") == "true",
        skip_tests: text("skipTests") == "true",
        values_files: Some(text("valuesFile")).filter(|file| !file.is_empty()).into_iter().collect(),
        ..Chart::default()
    }
    .at_home())
}

fn own_kind(config: &Value) -> Result<Vec<Chart>, Failure> {
    known(config, "RenderHelmChart", &["apiVersion", "kind", "metadata", "helmGlobals", "helmCharts"])?;
    let globals = config.get("helmGlobals").cloned().unwrap_or(Value::Null);
    known(&globals, "helmGlobals", &["chartHome", "configHome"])?;
    let home = globals.get("chartHome").and_then(Value::as_str).unwrap_or_default();
    let charts = config.get("helmCharts").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    charts.iter().map(|chart| one(chart, home)).collect()
}

fn one(chart: &Value, home: &str) -> Result<Chart, Failure> {
    let part = |name: &str| chart.get(name).cloned().unwrap_or(Value::Null);
    let (args, options) = (part("chartArgs"), part("templateOptions"));
    let values = options.get("values").cloned().unwrap_or(Value::Null);
    known(chart, "helmCharts", &["chartArgs", "templateOptions"])?;
    known(&args, "chartArgs", &["name", "version", "repo", "registry", "auth"])?;
    let fields = [
        "apiVersions",
        "releaseName",
        "namespace",
        "nameTemplate",
        "includeCRDs",
        "skipTests",
        "description",
        "values",
    ];
    known(&options, "templateOptions", &fields)?;
    known(&values, "values", &["valuesFiles", "valuesInline", "valuesMerge"])?;
    if args.get("auth").is_some() {
        let message = "chartArgs.auth is not supported: Secrets are not handed to helm; sign in with `helm registry login` or `helm repo add`";
        return Err(wrong(message));
    }
    let text = |map: &Value, field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let list = |map: &Value, field: &str| -> Vec<String> {
        let items = map.get(field).and_then(Value::as_array).into_iter().flatten();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let flag = |field: &str| options.get(field).and_then(Value::as_bool).unwrap_or_default();
    let inline = values.get("valuesInline").filter(|inline| !inline.is_null());
    let merge = match text(&values, "valuesMerge").as_str() {
        "" | "override" => Merge::Override,
        "merge" => Merge::Merge,
        "replace" => Merge::Replace,
        other => return Err(wrong(format!("valuesMerge is {other:?}; it may be override, merge or replace"))),
    };
    Ok(Chart {
        home: home.to_owned(),
        name: text(&args, "name"),
        version: text(&args, "version"),
        repo: text(&args, "repo"),
        release: text(&options, "releaseName"),
        namespace: text(&options, "namespace"),
        name_template: text(&options, "nameTemplate"),
        api_versions: list(&options, "apiVersions"),
        include_crds: flag("includeCRDs"),
        skip_tests: flag("skipTests"),
        values_files: list(&values, "valuesFiles"),
        values_inline: inline.map(to_yaml).unwrap_or_default(),
        merge,
    }
    .at_home())
}

/// No text becomes a flag, no path leaves the package.
fn check(chart: &Chart) -> Result<(), Failure> {
    let texts = [
        ("name", &chart.name),
        ("version", &chart.version),
        ("repo", &chart.repo),
        ("releaseName", &chart.release),
        ("namespace", &chart.namespace),
        ("nameTemplate", &chart.name_template),
    ];
    let all = texts.into_iter().chain(chart.api_versions.iter().map(|text| ("apiVersions", text)));
    if let Some((field, text)) = all.into_iter().find(|(_, text)| text.starts_with('-') || text.contains(['\0', '\n']))
    {
        return Err(wrong(format!("{field} is {text:?}, which begins with a dash or has more than one line")));
    }
    inside(&chart.name, "name")?;
    inside(&chart.home, "chartHome")?;
    let is_place = |scheme: &&str| chart.repo.starts_with(*scheme);
    if !chart.repo.is_empty() && !["https://", "http://", "oci://"].iter().any(is_place) {
        return Err(wrong(format!("repo is {:?}; it begins with https://, http:// or oci://", chart.repo)));
    }
    for file in &chart.values_files {
        if file.contains("://") {
            return Err(wrong(format!("valuesFiles names {file}; only files of the package are read, put it there")));
        }
        inside(file, "valuesFiles")?;
    }
    Ok(())
}

impl Chart {
    fn at_home(self) -> Self {
        let home = self.home.trim_start_matches("./").trim_end_matches('/').to_owned();
        let home = if home.is_empty() { HOME.to_owned() } else { home };
        Self { home, ..self }
    }

    /// The directory of the package where the chart may be.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}/{}", self.home, self.name)
    }

    /// What `helm` is called with: the chart at `chart`, inline values in the file `inline`, and values of files of the
    /// package below the present directory.
    #[must_use]
    pub fn template(&self, chart: &str, inline: &str) -> Vec<String> {
        let release = if self.release.is_empty() { &self.name } else { &self.release };
        let mut arguments = vec!["template".to_owned()];
        if self.name_template.is_empty() {
            arguments.push(release.clone());
        }
        arguments.push(chart.to_owned());
        let mut flag = |flag: &str, value: &str| arguments.extend([flag.to_owned(), value.to_owned()]);
        if !self.name_template.is_empty() {
            flag("--name-template", &self.name_template);
        }
        if !self.namespace.is_empty() {
            flag("--namespace", &self.namespace);
        }
        for file in self.values(chart, inline) {
            flag("--values", &file);
        }
        for version in &self.api_versions {
            flag("--api-versions", version);
        }
        arguments.extend(self.include_crds.then(|| "--include-crds".to_owned()));
        arguments.extend(self.skip_tests.then(|| "--skip-tests".to_owned()));
        arguments
    }

    /// Files of values, each before the ones that go before it.
    fn values(&self, chart: &str, inline: &str) -> Vec<String> {
        let own = Some(inline.to_owned()).filter(|_| !self.values_inline.is_empty());
        let files = self.values_files.iter().cloned();
        let defaults = Some(format!("{chart}/values.yaml")).filter(|_| self.values_files.is_empty());
        match self.merge {
            Merge::Override => files.chain(own).collect(),
            Merge::Merge => own.into_iter().chain(defaults).chain(files).collect(),
            Merge::Replace => own.into_iter().collect(),
        }
    }

    /// What `helm` is called with to bring the chart to the directory `to`.
    #[must_use]
    pub fn pull(&self, to: &str) -> Vec<String> {
        let mut arguments = vec!["pull".to_owned()];
        if self.repo.starts_with("oci://") {
            arguments.push(format!("{}/{}", self.repo.trim_end_matches('/'), self.name));
        } else {
            arguments.extend([self.name.clone(), "--repo".to_owned(), self.repo.clone()]);
        }
        if !self.version.is_empty() {
            arguments.extend(["--version".to_owned(), self.version.clone()]);
        }
        arguments.extend(["--untar", "--untardir", to].map(str::to_owned));
        arguments
    }
}

#[cfg(test)]
mod tests;
