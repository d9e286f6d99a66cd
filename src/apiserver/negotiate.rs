//! In which form a client wants its answer.
//!
//! Source: "Resource representations" and "Receiving resources as Tables" of the Kubernetes API concepts.

use crate::apiserver::status::ApiError;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The objects.
    Objects,
    /// Only their metadata (`PartialObjectMetadata`).
    Metadata,
    /// Rows for people (`Table`).
    Table,
}

const GIVEN: [&str; 1] = ["application/json"];

/// Picks the first form of an `Accept` header that can be given; an empty header takes anything.
///
/// # Errors
/// 406 when there is none.
pub fn form(accept: &str) -> Result<Form, ApiError> {
    if accept.trim().is_empty() {
        return Ok(Form::Objects);
    }
    accept.split(',').find_map(one).ok_or_else(|| ApiError::not_acceptable(&GIVEN))
}

fn one(clause: &str) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | "application/*" | "*/*") {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let get = |name: &str| parameters.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    match (get("as"), get("g"), get("v")) {
        (None, ..) => Some(Form::Objects),
        (Some("Table"), Some("meta.k8s.io"), Some("v1")) => Some(Form::Table),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io"), Some("v1")) => {
            Some(Form::Metadata)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_is_given() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,\
                        application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json";
        let table = [
            ("", Form::Objects),
            ("*/*", Form::Objects),
            (kubectl, Form::Table),
            (metadata, Form::Metadata),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json", Form::Objects),
            ("text/html, application/json;q=0.9", Form::Objects),
        ];
        for (accept, expected) in table {
            assert_eq!(form(accept).unwrap(), expected, "{accept}");
        }
        assert_eq!(form("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
    }
}
