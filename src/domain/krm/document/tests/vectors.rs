//! Texts as the decoder of Kubernetes read them; `testdata/yaml` records them.

use super::*;

/// `[text, value]`, or `[text]` where it was refused. `LOGGIA_YAML_VECTORS` names a file of more.
fn vectors() -> Vec<Vec<Value>> {
    let recorded = include_str!("../../testdata/yaml_vectors.json").to_owned();
    let text = std::env::var("LOGGIA_YAML_VECTORS").map_or(recorded, |file| std::fs::read_to_string(file).unwrap());
    serde_json::from_str(&text).unwrap()
}

/// What we refuse although Kubernetes reads it: tags of other languages, and forms at the edge of the grammar that the
/// parser does not take: a dash alone in brackets, headers of texts in the first column or with a comment glued to
/// them.
fn refused_on_purpose(text: &str, error: &DocumentError) -> bool {
    let header = |line: &str| line.starts_with(['|', '>']) || line.contains(">#") || line.contains("|#");
    let edge = text.contains("[-]") || text.contains("k: -}") || text.lines().any(header);
    error.code == "yaml.tag_not_allowed" || (error.code == "yaml.syntax" && edge)
}

/// What we read although Kubernetes refuses it: JSON's escapes of slashes, tabs that indent nothing, texts in
/// the first column, keys in quotes on two lines.
fn read_on_purpose(text: &str) -> bool {
    text.contains("\\/") || text.contains('\t') || text.starts_with(['|', '>', '&']) || text.contains("\\\n")
}

#[test]
fn texts_mean_what_kubernetes_reads() {
    let mut wrong = Vec::new();
    for line in vectors() {
        let text = line[0].as_str().unwrap();
        let ours = YamlFile::parse(text.as_bytes(), &Limits::default()).and_then(|file| file.value(0));
        match (line.get(1), ours) {
            (Some(theirs), Ok(ours)) if crate::domain::krm::value::same(theirs, &ours) => {}
            // Blanks alone, deeper than the header says, cut off by the end of the file.
            (Some(_), Ok(_)) if text == "v: |2\n  \n    " => {}
            (Some(theirs), Ok(ours)) => wrong.push(format!("{text:?}: {ours}, Kubernetes {theirs}")),
            (Some(theirs), Err(error)) if !refused_on_purpose(text, &error) => {
                wrong.push(format!("{text:?}: {error}, Kubernetes {theirs}"));
            }
            (None, Ok(ours)) if !read_on_purpose(text) => {
                wrong.push(format!("{text:?}: {ours}, refused by Kubernetes"));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{} texts:\n{}", wrong.len(), wrong.join("\n"));
}
