//! Writing a text in the place of a scalar as a person would: what was in quotes stays in them, what was bare stays bare
//! and means what YAML makes of it.

use serde_json::Value;

use super::{Call, FunctionError};
use crate::domain::krm::document::{Limits, NodeKind, YamlFile, scalar_text};
use crate::domain::package::resources::Place;

impl Call<'_> {
    /// Writes `text`; says whether anything changed.
    pub(super) fn write(&mut self, place: &Place, path: &[&str], text: &str) -> Result<bool, FunctionError> {
        if super::at(&self.resources.value(place), path).is_none() {
            return self.set(place, path, &read(text).unwrap_or_else(|| Value::from(text)));
        }
        let quote = self.quote_of(place, path);
        let (raw, meaning) = match quote {
            _ if text.contains(['\n', '\r']) => return self.set(place, path, &Value::from(text)),
            Some('|') => return self.set(place, path, &Value::from(text)),
            Some('\'') => (format!("'{}'", text.replace('\'', "''")), Value::from(text)),
            Some(_) => (Value::from(text).to_string(), Value::from(text)),
            None => bare(text),
        };
        match self.resources.set_raw(place, path, &raw, &meaning) {
            Ok(changed) => Ok(changed),
            // Inside of brackets more characters end a bare text; a failed edit leaves the file as it was.
            Err(_) => self.set(place, path, &Value::from(text)),
        }
    }

    /// How the scalar is written: its quote, `|` for several lines, nothing when it is bare or absent.
    fn quote_of(&self, place: &Place, path: &[&str]) -> Option<char> {
        let found = self.resources.document(place)?;
        let (file, node) = (found.file, found.at(path)?);
        match node.kind {
            NodeKind::Scalar { block: true, .. } => Some('|'),
            NodeKind::Scalar { plain: false, .. } => file.text().get(node.span.clone())?.chars().next(),
            _ => None,
        }
    }
}

/// A bare text and what it means; in quotes when it cannot stand bare.
fn bare(text: &str) -> (String, Value) {
    if text.is_empty() {
        return ("\"\"".to_owned(), Value::from(""));
    }
    match read(text) {
        Some(meaning) => (text.to_owned(), meaning),
        None => (scalar_text(&Value::from(text)), Value::from(text)),
    }
}

/// What a bare text means; `None` when it is no scalar of one piece.
pub(super) fn read(text: &str) -> Option<Value> {
    let file = YamlFile::parse(format!("v: {text}").as_bytes(), &Limits::default()).ok()?;
    let value = file.value(0).ok()?;
    let whole = value.as_object().is_some_and(|map| map.len() == 1) && file.documents().len() == 1;
    let node = file.documents().first()?.at(&["v"])?;
    let NodeKind::Scalar { plain: true, text: read, .. } = &node.kind else { return None };
    let meaning = value.get("v")?.clone();
    (whole && read == text && !meaning.is_null()).then_some(meaning)
}
