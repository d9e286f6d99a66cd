//! Listing objects: selectors, pages, revisions.
//!
//! Source: "Retrieving large results sets in chunks" and "Resource versions" of the Kubernetes API concepts.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::convert;
use crate::apiserver::core::Core;
use crate::apiserver::kinds::Kind;
use crate::apiserver::metadata;
use crate::apiserver::request::Query;
use crate::apiserver::route::Target;
use crate::apiserver::selector::FieldSelector;
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::store::{Snapshot, StoreError};
use crate::domain::krm::base64;
use crate::domain::krm::selector::LabelSelector;

/// How a list may relate to the revision that it names.
const MATCHES: [&str; 3] = ["Exact", "NotOlderThan", ""];

/// Which objects of a target are wanted.
#[derive(Debug, Clone)]
pub struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
}

impl Selection {
    /// Reads the selectors of a query; a name in the path selects like a field.
    ///
    /// # Errors
    /// 400 that names what cannot be read.
    pub fn of(target: &Target, query: &Query) -> Result<Self, ApiError> {
        let labels =
            LabelSelector::parse(query.text("labelSelector").unwrap_or_default()).map_err(ApiError::bad_request)?;
        let mut fields = query.text("fieldSelector").unwrap_or_default().to_owned();
        if let Some(name) = &target.name {
            fields = format!("metadata.name={name},{fields}");
        }
        Ok(Self { labels, fields: FieldSelector::parse(&fields, &target.kind)? })
    }

    /// Whether an object (in the stored form) is wanted.
    #[must_use]
    pub fn takes(&self, object: &Value) -> bool {
        self.labels.matches(object) && self.fields.matches(object)
    }

    /// The name, when a list of the target can hold but one object.
    fn single(&self, target: &Target) -> Option<&str> {
        self.fields.name().filter(|_| target.namespace.is_some() || !target.kind.namespaced)
    }

    /// Whether every object is wanted.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The objects in the stored form.
    pub objects: Vec<Arc<Value>>,
    /// The revision of the list.
    pub revision: u64,
    /// Where the next page begins; empty on the last page.
    pub next: String,
    /// How many objects follow, where that is known.
    pub remaining: Option<usize>,
}

impl Page {
    /// `metadata` of the list object.
    #[must_use]
    pub fn metadata(&self, kind: &Kind) -> Value {
        let mut metadata = json!({"resourceVersion": self.revision.to_string()});
        // Lists of custom resources say that they are whole.
        if !self.next.is_empty() || kind.is_custom() {
            metadata["continue"] = json!(self.next);
        }
        if let Some(remaining) = self.remaining {
            metadata["remainingItemCount"] = json!(remaining);
        }
        metadata
    }

    /// The objects as clients of a kind see them.
    pub fn shown<'a>(&'a self, kind: &Kind) -> impl Iterator<Item = Cow<'a, Value>> {
        self.objects.iter().map(|object| convert::shown(kind, object))
    }
}

/// The place after which a page begins: a revision (0 for whatever is there now), a namespace and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    revision: u64,
    namespace: String,
    name: String,
}

impl Place {
    fn after(revision: u64, object: &Value) -> Self {
        let text = |name| metadata::text(object, name).to_owned();
        Self { revision, namespace: text("namespace"), name: text("name") }
    }

    fn write(&self) -> String {
        base64::encode(json!({"rv": self.revision, "ns": self.namespace, "name": self.name}).to_string().as_bytes())
    }

    fn read(token: &str) -> Result<Self, ApiError> {
        let refuse = || ApiError::bad_request("continue key is not valid: it does not come from this server");
        let bytes = base64::decode(token).ok_or_else(refuse)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| refuse())?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(refuse);
        let revision = value.get("rv").and_then(Value::as_u64).ok_or_else(refuse)?;
        Ok(Self { revision, namespace: text("ns")?, name: text("name")? })
    }

    fn is_before(&self, object: &Value) -> bool {
        let place = (metadata::text(object, "namespace"), metadata::text(object, "name"));
        (self.namespace.as_str(), self.name.as_str()) < place
    }
}

/// Refuses parameters of a list that do not go together.
fn check(query: &Query) -> Result<(), ApiError> {
    let (version, pages) = (query.text("resourceVersion"), query.text("continue").is_some());
    let mut causes = Vec::new();
    let mut forbid = |refused: bool, detail: &str| {
        causes.extend(refused.then(|| Cause::forbidden("resourceVersionMatch", detail)));
    };
    if let Some(wanted) = query.text("resourceVersionMatch") {
        forbid(version.is_none(), "resourceVersionMatch is forbidden unless resourceVersion is provided");
        forbid(pages, "resourceVersionMatch is forbidden when continue is provided");
        if !MATCHES.contains(&wanted) {
            let supported: Vec<String> = MATCHES.iter().map(|name| format!("{name:?}")).collect();
            causes.push(Cause::not_supported("resourceVersionMatch", &json!(wanted), &supported));
        }
        if wanted == "Exact" && version == Some("0") {
            let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            causes.push(Cause::forbidden("resourceVersionMatch", detail));
        }
    }
    if query.text("sendInitialEvents").is_some() {
        causes.push(Cause::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid_options("ListOptions", causes)) }
}

impl Core {
    /// One page of the objects of a target.
    ///
    /// # Errors
    /// 400 for parameters that cannot be read, 422 for those that do not go together, 410 for a page or revision from
    /// too long ago, 504 for one from the future.
    pub fn list(&self, target: &Target, query: &Query) -> Result<Page, ApiError> {
        let selection = Selection::of(target, query)?;
        check(query)?;
        // A list is there at once, but its time must be one.
        query.timeout()?;
        let single = selection.single(target);
        // The list of one name has no pages: where to go on is not even read.
        let place = query.text("continue").filter(|_| single.is_none()).map(Place::read).transpose()?;
        let snapshot = self.snapshot(target, query, place.as_ref(), single.is_some())?;
        let revision = snapshot.revision;
        // What is asked for at any revision comes from the cache of the server, which has no pages.
        let paged = place.is_some() || query.text("resourceVersion") != Some("0");
        let limit = query.count("limit")?.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|_| paged);
        let reached = |object: &Arc<Value>| {
            place.as_ref().is_none_or(|place| place.is_before(object))
                && single.is_none_or(|name| metadata::text(object, "name") == name)
        };
        let mut rest = snapshot.objects.into_iter().filter(reached);
        let wanted = rest.by_ref().filter(|object| selection.takes(object));
        let objects: Vec<Arc<Value>> = wanted.take(limit.unwrap_or(usize::MAX)).collect();
        // A page is the last one when nothing follows it, be it wanted or not.
        let left = rest.count();
        let last = objects.last().filter(|_| left > 0);
        let next = last.map(|last| Place::after(revision, last).write()).unwrap_or_default();
        let remaining = (left > 0 && selection.is_everything()).then_some(left);
        Ok(Page { objects, revision, next, remaining })
    }

    fn snapshot(
        &self,
        target: &Target,
        query: &Query,
        place: Option<&Place>,
        is_single: bool,
    ) -> Result<Snapshot, ApiError> {
        let resource = &target.kind.stored_as;
        let namespace = target.namespace.as_deref();
        let current = self.store().revision();
        let refuse = |error: ApiError| ApiError::bad_request(format!("invalid resource version: {}", error.message));
        let asked = query.revision().map_err(refuse)?;
        if place.is_some() && asked > 0 {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        if let Some(place) = place.filter(|place| place.revision > 0) {
            let old = self.store().list_at(resource, namespace, place.revision);
            return old.map_err(|_| ApiError::continue_expired(Place { revision: 0, ..place.clone() }.write()));
        }
        if asked > current {
            return Err(ApiError::too_new(asked, current));
        }
        // A page without a word about its revision is of exactly the one that it names.
        let pages = query.count("limit")?.is_some() && asked > 0 && !is_single;
        let exact = query.text("resourceVersionMatch").map_or(pages, |wanted| wanted == "Exact");
        if exact {
            let old = self.store().list_at(resource, namespace, asked);
            return old.map_err(|error: StoreError| ApiError::from_store(error, &target.resource(), ""));
        }
        Ok(self.store().list(resource, namespace))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_token() {
        let place = Place { revision: 7, namespace: "core".to_owned(), name: "upf".to_owned() };
        assert_eq!(Place::read(&place.write()).unwrap(), place);
        for broken in ["", "x", "e30="] {
            assert_eq!(Place::read(broken).unwrap_err().code, 400);
        }
    }
}
