//! The configuration file: its shape, its JSON schema, and reading it strictly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::krm::document::{Limits, Node, YamlFile};
use crate::domain::package::Problem;

/// Version of the file.
const API_VERSION: &str = "loggia.dev/v1alpha1";
/// Kind of the file.
const KIND: &str = "Configuration";

/// Settings of `loggia controller`. Everything may be left out; flags win over the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(title = "Configuration")]
pub struct ConfigFile {
    /// Always `loggia.dev/v1alpha1`.
    #[schemars(extend("const" = "loggia.dev/v1alpha1"))]
    pub api_version: String,
    /// Always `Configuration`.
    #[schemars(extend("const" = "Configuration"))]
    pub kind: String,
    /// Name of this replica in the Lease. Default: `loggia-` and the process id.
    pub identity: Option<String>,
    /// Namespace of Loggia's objects and of the Lease. Default: `default`.
    pub namespace: Option<String>,
    /// Where mirrors of remote repositories are kept. Default: `.loggia`.
    pub data_dir: Option<String>,
    /// Where metrics and probes listen, as address and port. Default: `127.0.0.1:8080`.
    pub listen: Option<String>,
    /// How often a remote repository is asked for its refs, such as `15s`. Default: `15s`.
    pub poll: Option<String>,
    /// Election of the replica that writes.
    pub leader_election: ElectionFile,
    /// Windows of health, where a Sync says nothing else.
    pub health: HealthFile,
}

/// Election of the replica that writes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(inline)]
pub struct ElectionFile {
    /// How long a lease that is not renewed stays with its holder. Default: `15s`.
    pub lease_duration: Option<String>,
    /// How long the holder may go on writing after its last renewal; shorter than `leaseDuration`. Default: `10s`.
    pub renew_deadline: Option<String>,
    /// How often to renew or to look; shorter than `renewDeadline`. Default: `2s`.
    pub retry_period: Option<String>,
}

/// Windows of health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schemars(inline)]
pub struct HealthFile {
    /// How long a unit has to stay healthy before it counts as proved. Default: `30s`.
    pub stable_for: Option<String>,
    /// How long a unit may take to become healthy. Default: `5m`.
    pub timeout: Option<String>,
}

/// JSON schema of the file, as `schemas/` holds it.
#[must_use]
pub fn schema() -> Value {
    let mut schema = Value::from(schemars::schema_for!(ConfigFile));
    without_defaults(&mut schema);
    schema["required"] = serde_json::json!(["apiVersion", "kind"]);
    schema
}

/// The derived defaults only say that a field may be left out; the descriptions say what holds then.
fn without_defaults(schema: &mut Value) {
    if let Some(map) = schema.as_object_mut() {
        map.remove("default");
        map.values_mut().for_each(without_defaults);
    }
}

/// Reads a configuration file; `name` is what messages call it.
///
/// # Errors
/// Every unknown field and wrong type, with its line.
pub fn read(name: &str, bytes: &[u8]) -> Result<ConfigFile, Vec<Problem>> {
    let unreadable = |error| vec![Problem::unreadable(name, &error)];
    let yaml = YamlFile::parse(bytes, &Limits::default()).map_err(unreadable)?;
    let values = yaml.values().map_err(unreadable)?;
    let ([value], [root]) = (values.as_slice(), yaml.documents()) else {
        let message = format!("it holds {} documents; a configuration is one", values.len());
        return Err(vec![Problem::new("config.documents", name, 1, message)]);
    };
    let mut found = Vec::new();
    for (field, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
        if value.get(field).and_then(Value::as_str) != Some(wanted) {
            let problem = Problem::new("config.version", name, root.line_of(&[field]), format!("it is not {wanted}"));
            found.push(problem.field(field).hint(format!("write {field}: {wanted}")));
        }
    }
    misfits(name, root, &mut Vec::new(), value, &schema(), &mut found);
    found.sort();
    if found.is_empty() {
        let unfit = |error: serde_json::Error| vec![Problem::new("config.invalid", name, 1, error.to_string())];
        serde_json::from_value(value.clone()).map_err(unfit)
    } else {
        Err(found)
    }
}

/// Fields that the schema does not know, and values of another type than it says.
fn misfits(name: &str, root: &Node, path: &mut Vec<String>, value: &Value, schema: &Value, found: &mut Vec<Problem>) {
    let line = |path: &[String]| root.line_of(&path.iter().map(String::as_str).collect::<Vec<_>>());
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        if !value.is_string() && !value.is_null() {
            let problem = Problem::new("config.type", name, line(path), format!("{value} is not text"));
            found.push(problem.field(path.join(".")).hint("put it in quotes, or write a unit, such as 15s"));
        }
        return;
    };
    let Some(fields) = value.as_object() else {
        let problem = Problem::new("config.type", name, line(path), format!("{value} is not a map"));
        return found.push(problem.field(path.join(".")));
    };
    for (field, value) in fields {
        path.push(field.clone());
        if let Some(schema) = properties.get(field) {
            misfits(name, root, path, value, schema, found);
        } else {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            let problem = Problem::new("config.unknown_field", name, line(path), "there is no such setting");
            found.push(problem.field(path.join(".")).hint(format!("known here: {}", known.join(", "))));
        }
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: loggia.dev/v1alpha1\nkind: Configuration\n";

    fn told(text: &str) -> Vec<String> {
        read("loggia.yaml", text.as_bytes()).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_setting_of_the_schema_can_be_written() {
        let text = format!(
            "{HEAD}identity: a\nnamespace: b\ndataDir: c\nlisten: 127.0.0.1:1\npoll: 1s\nleaderElection: {{leaseDuration: 9s, \
             renewDeadline: 8s, retryPeriod: 1s}}\nhealth: {{stableFor: 1s, timeout: 2s}}\n"
        );
        let file = read("loggia.yaml", text.as_bytes()).unwrap();
        let written = serde_json::to_value(&file).unwrap();
        let unsaid = |value: &Value| value.as_object().unwrap().values().any(Value::is_null);
        assert!(![&written, &written["leaderElection"], &written["health"]].into_iter().any(unsaid), "{written}");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let text = format!("{HEAD}pol: 15s\nhealth:\n  timeout: 5\n  stable: 1s\nleaderElection: soon\n");
        let found = told(&text);
        assert_eq!(found.len(), 4, "{found:#?}");
        let starts = [
            "loggia.yaml:3: pol: there is no such setting (known here: apiVersion, dataDir, ",
            "loggia.yaml:5: health.timeout: 5 is not text",
            "loggia.yaml:6: health.stable: there is no such setting (known here: stableFor, timeout)",
            "loggia.yaml:7: leaderElection: \"soon\" is not a map",
        ];
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found}");
        }
    }

    #[test]
    fn other_kinds_of_files_are_refused() {
        assert!(told("a: 1\n").iter().any(|line| line.contains("apiVersion: it is not loggia.dev/v1alpha1")));
        assert!(told("")[0].contains("0 documents"));
        assert!(told("a: [")[0].starts_with("loggia.yaml:"));
    }

    /// `schemas/` holds what is generated; `LOGGIA_BLESS=1 cargo test` writes it.
    #[test]
    fn the_generated_schema_is_checked_in() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/configuration.schema.json");
        let generated = format!("{:#}\n", schema());
        if std::env::var_os("LOGGIA_BLESS").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == generated, "it is not what is generated; run LOGGIA_BLESS=1 cargo test the_generated_schema");
    }
}
