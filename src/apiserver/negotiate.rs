//! In which form a client wants its answer.
//!
//! Source: "Resource representations" and "Receiving resources as Tables" of the Kubernetes API concepts.

use axum::body::Body;
use http::{HeaderValue, Response, header};
use http_body_util::{BodyExt as _, Collected};

use crate::apiserver::status::ApiError;
use crate::domain::krm::document;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The objects.
    Objects,
    /// Only their metadata (`PartialObjectMetadata`).
    Metadata(Meta),
    /// Rows for people (`Table`).
    Table(Meta),
}

/// The version of `meta.k8s.io` in which metadata and rows are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meta {
    /// `v1`.
    V1,
    /// `v1beta1`, which says the same.
    V1Beta1,
}

const GIVEN: [&str; 2] = ["application/json", YAML];
const YAML: &str = "application/yaml";
/// What a watch can be given as.
const STREAMS: [&str; 1] = ["application/json;stream=watch"];

/// Picks the first form of an `Accept` header that can be given; an empty header takes anything.
///
/// # Errors
/// 406 when there is none.
pub fn form(accept: &str) -> Result<Form, ApiError> {
    if accept.trim().is_empty() {
        return Ok(Form::Objects);
    }
    by_preference(accept).into_iter().find_map(one).ok_or_else(|| ApiError::not_acceptable(&GIVEN))
}

/// The clauses of an `Accept` header, those with a higher `q` before others, and what is exact before what takes
/// anything.
fn by_preference(accept: &str) -> Vec<&str> {
    let quality = |clause: &str| {
        let said = clause.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
        said.map_or(1.0, |text| text.trim().parse::<f64>().unwrap_or_default())
    };
    let mut clauses: Vec<&str> = accept.split(',').map(str::trim).collect();
    clauses.sort_by(|a, b| quality(b).total_cmp(&quality(a)).then(a.starts_with("*/").cmp(&b.starts_with("*/"))));
    clauses
}

/// Refuses a watch for a client that wants what is no stream.
///
/// # Errors
/// 406 for YAML.
pub fn check_stream(accept: &str) -> Result<(), ApiError> {
    if is_yaml(accept) { Err(ApiError::not_acceptable(&STREAMS)) } else { Ok(()) }
}

/// Whether YAML is the first that can be given.
fn is_yaml(accept: &str) -> bool {
    let media = |clause: &str| clause.split(';').next().map(str::trim) == Some(YAML);
    by_preference(accept).into_iter().find(|clause| one(clause).is_some()).is_some_and(media)
}

/// An answer in JSON as YAML, for a client that wants it so; any other answer as it is.
pub(super) async fn encoded(accept: &str, reply: Response<Body>) -> Response<Body> {
    let json = HeaderValue::from_static("application/json");
    if !is_yaml(accept) || reply.headers().get(header::CONTENT_TYPE) != Some(&json) {
        return reply;
    }
    let (mut head, body) = reply.into_parts();
    // The body is all there: it was made from a value, and a watch is never YAML.
    let bytes = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
    let Ok(value) = serde_json::from_slice(&bytes) else { return Response::from_parts(head, Body::from(bytes)) };
    head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(YAML));
    Response::from_parts(head, Body::from(document::to_yaml(&value)))
}

fn one(clause: &str) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    if !matches!(parts.next()?, "application/json" | YAML | "*/*") {
        return None;
    }
    let parameters: Vec<(&str, &str)> = parts.filter_map(|part| part.split_once('=')).collect();
    let get = |name: &str| parameters.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
    let Some(wanted) = get("as") else { return Some(Form::Objects) };
    let meta = match (get("g"), get("v")) {
        (Some("meta.k8s.io"), Some("v1")) => Meta::V1,
        (Some("meta.k8s.io"), Some("v1beta1")) => Meta::V1Beta1,
        _ => return None,
    };
    match wanted {
        "Table" => Some(Form::Table(meta)),
        "PartialObjectMetadata" | "PartialObjectMetadataList" => Some(Form::Metadata(meta)),
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
            (kubectl, Form::Table(Meta::V1)),
            (metadata, Form::Metadata(Meta::V1)),
            ("application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json", Form::Table(Meta::V1Beta1)),
            ("application/json;as=Table;v=v2;g=meta.k8s.io, application/json", Form::Objects),
            ("text/html, application/json;q=0.9", Form::Objects),
        ];
        for (accept, expected) in table {
            assert_eq!(form(accept).unwrap(), expected, "{accept}");
        }
        assert_eq!(form("application/vnd.kubernetes.protobuf").unwrap_err().code, 406);
        assert_eq!(form("application/*").unwrap_err().code, 406);
    }

    #[test]
    fn quality_and_exactness_order_what_is_accepted() {
        let table = [
            ("*/*;q=0.1, application/yaml", true),
            ("*/*, application/yaml", true),
            ("application/yaml;q=0.5,application/json", false),
            ("application/json;q=0.5,application/yaml;q=0.9", true),
            ("application/json;q=0,application/yaml", true),
            ("application/yaml;q=x,application/json", false),
            ("text/html;q=1,application/yaml;q=0.2", true),
            ("application/yaml;q=0.5,*/*;q=0.5", true),
            ("application/json;q=0", false),
        ];
        for (accept, expected) in table {
            assert_eq!((form(accept).unwrap(), is_yaml(accept)), (Form::Objects, expected), "{accept}");
        }
    }

    #[tokio::test]
    async fn yaml_is_given_to_those_who_ask_for_it_first() {
        let reply = |body: &'static str, media: &'static str| {
            Response::builder().header("content-type", media).body(Body::from(body)).unwrap()
        };
        let asked = |accept: &'static str| async move {
            let reply = encoded(accept, reply(r#"{"data":{"a":"yes"},"rows":[1]}"#, "application/json")).await;
            let media = reply.headers()["content-type"].to_str().unwrap().to_owned();
            (media, String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
        };
        let yaml = "data:\n  a: \"yes\"\nrows:\n- 1\n".to_owned();
        assert_eq!(asked("application/yaml").await, (YAML.to_owned(), yaml.clone()));
        assert_eq!(asked("text/html, application/yaml;as=Table;g=meta.k8s.io;v=v1").await, (YAML.to_owned(), yaml));
        assert_eq!(asked("application/json, application/yaml").await.0, "application/json");
        let page = encoded(YAML, reply("404", "text/plain")).await;
        assert_eq!(page.headers()["content-type"], "text/plain");
        assert_eq!(check_stream(YAML).unwrap_err().code, 406);
        assert!(check_stream("application/json").is_ok());
    }
}
