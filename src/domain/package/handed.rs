//! Resources as they are handed to functions: what makes one of a document, and the list that they travel in.

use serde_json::Value;

use super::absorb::{check_identity, missing_field};
use super::render::RenderError;
use super::resources::{Place, Resources};
use super::{Problem, bare, wire};
use crate::domain::krm::document::EditError;

/// What is wrong with what has no apiVersion, kind or name.
pub(super) fn unidentified(resources: &Resources, place: &Place) -> Option<Problem> {
    let value = resources.value(place);
    let message = check_identity(&place.file, &value).err()?;
    if let Some(problem) = no_resource(resources, place) {
        return Some(problem);
    }
    let field = missing_field(&place.file, &value).unwrap_or_default();
    let line = resources.line(place, &field.split('.').collect::<Vec<_>>());
    let problem = Problem::new("k8s.identity_missing", &place.file, line, message);
    let is_other = value.get("apiVersion").is_none() && value.get("kind").is_none();
    Some(if is_other { problem.hint("a file that holds no resources is left out by .krmignore") } else { problem })
}

/// What is wrong with a document that is no map: functions take resources and nothing else.
fn no_resource(resources: &Resources, place: &Place) -> Option<Problem> {
    let found = match resources.value(place) {
        Value::Object(_) => return None,
        Value::Array(_) => "a list",
        _ => "a single value",
    };
    let message = format!("expected a resource, a map with apiVersion, kind and metadata, and found {found}");
    let problem = Problem::new("k8s.not_a_resource", &place.file, resources.line(place, &[]), message);
    Some(problem.hint("write it as resources, or leave the file out by .krmignore"))
}

/// All resources as a `ResourceList`.
pub(super) fn list(resources: &Resources) -> Result<String, RenderError> {
    // A list travels below a key of its own.
    let places = resources.places("").into_iter().filter(|place| !resources.value(place).is_array());
    let problems: Vec<Problem> = places.filter_map(|place| no_resource(resources, &place)).collect();
    if !problems.is_empty() {
        return Err(RenderError::Problems { problems });
    }
    let items: Result<Vec<String>, RenderError> = resources
        .places("")
        .iter()
        .map(|place| {
            let text = resources.text(place);
            let position = position(&place.file, place.index, &text);
            let value = resources.value(place);
            let text = if value.is_array() { bare::wrapped(&text, &value) } else { text };
            let wrong = |error: EditError| {
                let problem = Problem::new("fn.edit", &place.file, resources.line(place, &[]), error.to_string());
                RenderError::Problems { problems: vec![problem] }
            };
            wire::annotated(&text, &position).map_err(wrong)
        })
        .collect();
    Ok(wire::write(&items?, None))
}

fn position(path: &str, index: usize, text: &str) -> [(&'static str, String); 5] {
    [
        (wire::LISTS, wire::lists_of(text).to_owned()),
        (wire::PATH, path.to_owned()),
        (wire::INDEX, index.to_string()),
        (wire::LEGACY_PATH, path.to_owned()),
        (wire::LEGACY_INDEX, index.to_string()),
    ]
}

/// The texts of resources, each with its place and its number.
pub(super) fn items<'p>(resources: &Resources, places: &'p [Place]) -> Result<Vec<String>, (&'p Place, EditError)> {
    let item = |(id, place): (usize, &'p Place)| {
        let text = resources.text(place);
        let annotated = |text: String| wire::annotated(&text, &travelling(resources, id, place));
        wire::spelled_out(&text).and_then(annotated).map_err(|error| (place, error))
    };
    places.iter().enumerate().map(item).collect()
}

/// The annotations with which a resource travels to a function: its place, its package and its number.
pub(super) fn travelling(resources: &Resources, id: usize, place: &Place) -> Vec<(&'static str, String)> {
    let home = resources.home(&place.file);
    let path = place.file.strip_prefix(home).map_or(place.file.as_str(), |rest| rest.trim_start_matches('/'));
    let mut annotations = position(path, place.index, &resources.text(place)).to_vec();
    annotations.push((wire::ID, id.to_string()));
    annotations.push((wire::PACKAGE, format!("/{home}")));
    annotations
}
