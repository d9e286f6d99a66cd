//! What a file of resources is, by its name, and how it is written: YAML, or JSON.

use serde_json::Value;

use super::kptfile;
use super::parts::Parts;
use crate::domain::krm::document::{DocumentError, EditError, like};

/// Whether a file holds resources: a Kptfile, or `*.yaml`, `*.yml` and `*.json`, as kpt looks for them.
#[must_use]
pub fn is_resource_file(path: &str) -> bool {
    is_yaml_file(path) || is_json_file(path)
}

/// Whether a file holds resources as YAML.
pub(super) fn is_yaml_file(path: &str) -> bool {
    path.rsplit('/').next() == Some(kptfile::FILE) || matches!(extension(path), Some("yaml" | "yml"))
}

/// Whether a file holds resources as JSON.
pub(super) fn is_json_file(path: &str) -> bool {
    extension(path) == Some("json")
}

fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension)
}

/// Reads a file of resources.
pub(super) fn read(path: &str, bytes: &[u8]) -> Result<Parts, DocumentError> {
    if is_json_file(path) { Parts::read_json(bytes) } else { Parts::read(bytes) }
}

/// A file's bytes once its resources are `parts`; `old` are those it had. JSON is indented by two spaces with its keys
/// in order, as kpt writes it, unless its values are what they were.
pub(super) fn written(path: &str, parts: &Parts, old: &[u8]) -> Vec<u8> {
    if !is_json_file(path) {
        return like(old, &parts.text());
    }
    let values = values(parts);
    let was = Parts::read_json(old).ok().map(|old| self::values(&old));
    if was.is_some_and(|was| was == values) { old.to_vec() } else { like(old, &json(&values)) }
}

/// The bytes of a file from its resources as YAML.
pub(super) fn joined(path: &str, texts: &[String]) -> Result<Vec<u8>, EditError> {
    let text = texts.join("---\n");
    if !is_json_file(path) {
        return Ok(text.into_bytes());
    }
    Ok(json(&values(&Parts::read(text.as_bytes())?)).into_bytes())
}

fn values(parts: &Parts) -> Vec<Value> {
    (0..parts.len()).map(|index| parts.value(index)).collect()
}

fn json(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value:#}\n")).collect::<Vec<_>>().join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = "{\"b\": 1,\n\t\"a\": {\"text\": \"\\ud83d\\ude00 \\/ <\"}}";

    #[test]
    fn names_tell_what_is_a_resource() {
        for (path, expected) in [
            ("Kptfile", true),
            ("a/Kptfile", true),
            ("a.yaml", true),
            ("a/b.yml", true),
            ("j.json", true),
            ("README.md", false),
            ("json", false),
            ("a.json/b", false),
            ("Kptfile.txt", false),
        ] {
            assert_eq!(is_resource_file(path), expected, "{path}");
        }
    }

    #[test]
    fn json_stays_as_it_is_until_a_value_changes() {
        let mut parts = read("a.json", JSON.as_bytes()).unwrap();
        let exact: Value = serde_json::from_str(JSON).unwrap();
        assert_eq!(parts.value(0), exact);
        assert_eq!(written("a.json", &parts, JSON.as_bytes()), JSON.as_bytes());
        parts.edit(0, |file, index| file.set(index, &["b"], &serde_json::json!(1))).unwrap();
        assert_eq!(written("a.json", &parts, JSON.as_bytes()), JSON.as_bytes());
        parts.edit(0, |file, index| file.set(index, &["b"], &serde_json::json!(2))).unwrap();
        let text = String::from_utf8(written("a.json", &parts, JSON.as_bytes())).unwrap();
        assert_eq!(text, "{\n  \"a\": {\n    \"text\": \"\u{1f600} / <\"\n  },\n  \"b\": 2\n}\n");
    }

    #[test]
    fn a_key_that_json_has_twice_is_refused() {
        assert_eq!(read("a.json", b"{\"a\": 1, \"a\": 2}").unwrap_err().code, "yaml.duplicate_key");
    }

    #[test]
    fn several_values_are_documents() {
        let bytes = joined("a.json", &["a: 1\n".to_owned(), "b: 2\n".to_owned()]).unwrap();
        assert_eq!(bytes, b"{\n  \"a\": 1\n}\n---\n{\n  \"b\": 2\n}\n");
        assert_eq!(read("a.json", &bytes).unwrap().len(), 2);
    }
}
