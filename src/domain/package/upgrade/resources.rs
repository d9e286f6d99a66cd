//! One file of resources in three versions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::super::ignore::Ignored;
use super::super::kptfile::FILE;
use super::super::medium::{self, is_json_file};
use super::super::parts::{Document, Parts};
use super::fields::{Clash, Three, Walk, picked};
use super::json;
use super::kptfile::{self, Package};
use super::text::{Part, marker, write};
use super::{Conflict, Held, OnConflict, Problem, Side, Taken};
use crate::domain::krm::document::{Limits, Node, closed, to_yaml};
use crate::domain::krm::value::{same, text};
use crate::domain::krm::{Gvk, ObjectId, Schemas};

/// What makes two resources of a file the same one: the name that a merge comment remembers, else the present one.
type Identity = (String, String, String, String);

/// A resource of a file.
#[derive(Debug)]
struct Resource<'a> {
    identity: Identity,
    value: Value,
    document: Document<'a>,
}

impl Resource<'_> {
    fn text(&self) -> &str {
        self.document.file.text()
    }

    /// Its text without the `---` that begins it, and without the blank lines behind it that are part of no value.
    fn body(&self) -> Cow<'_, str> {
        let text = self.text();
        closed(&text[marker(text).len()..], &Limits::of(text.as_bytes()))
    }

    fn part(&self) -> Option<Part<'_>> {
        Part::root(self.document.file, &self.value)
    }

    fn at(&self, path: &[String]) -> Option<&Node> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.document.at(&path)
    }

    fn line(&self, path: &[String]) -> usize {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        self.document.lines_before + self.document.root().map_or(1, |root| root.line_of(&path))
    }
}

/// Annotation with what a resource is called upstream: `group|kind|namespace|name`.
pub(super) const IDENTIFIER: &str = "internal.kpt.dev/upstream-identifier";

/// Namespace and name of a `kpt-merge: namespace/name` comment.
fn merge_comment(comment: &str) -> Option<(String, String)> {
    let (namespace, name) = comment.trim().strip_prefix("kpt-merge:")?.trim().split_once('/')?;
    Some((namespace.to_owned(), name.to_owned()))
}

/// Under which namespace and name a resource came from upstream: as its merge comment says, else, when the comment
/// there is another one, its annotation. Where the annotation says `default` for a resource without a namespace, it
/// says none.
pub(super) fn remembered(value: &Value, comment: Option<&str>) -> Option<(String, String)> {
    if let Some(found) = comment.and_then(merge_comment) {
        return Some(found);
    }
    let identifier = value.get("metadata")?.get("annotations")?.get(IDENTIFIER)?.as_str()?;
    let [group, kind, namespace, name] = identifier.split('|').collect::<Vec<_>>()[..] else { return None };
    let own = Gvk::parse(text(value, "/apiVersion"), text(value, "/kind"));
    let is_bare = namespace == "default" && text(value, "/metadata/namespace").is_empty();
    let namespace = if is_bare { "" } else { namespace };
    (own.group == group && own.kind == kind).then(|| (namespace.to_owned(), name.to_owned()))
}

fn identity(value: &Value, document: Document<'_>) -> Option<Identity> {
    let (api_version, kind) = (text(value, "/apiVersion"), text(value, "/kind"));
    if api_version.is_empty() || kind.is_empty() {
        return None;
    }
    let line = document.root()?.entry("metadata").map(|entry| entry.key_node.line);
    let remembered = remembered(value, line.and_then(|line| document.file.comment(line)));
    let present = || (text(value, "/metadata/namespace").to_owned(), text(value, "/metadata/name").to_owned());
    let (namespace, name) = remembered.unwrap_or_else(present);
    Some((Gvk::parse(api_version, kind).group, kind.to_owned(), namespace, name))
}

/// The resources of a file; `None` when something in it is none, so that the file can only be taken as a whole. The
/// Kptfile of a package is the same one whatever it is called.
fn read<'p>(parts: &'p Parts, path: &str, is_kptfile: bool) -> Option<Vec<Resource<'p>>> {
    let one = |index: usize| {
        let document = parts.document(index)?;
        let value = parts.value(index);
        let alone = document.index == 0 && document.file.documents().len() == 1;
        // JSON with escapes that YAML does not have is not here as it is written.
        let as_written = !is_json_file(path) || document.root().is_some_and(json::is_braces);
        let mut identity = identity(&value, document).filter(|_| alone && as_written)?;
        if is_kptfile {
            identity = Identity::default();
        }
        Some(Resource { identity, value, document })
    };
    let resources: Option<Vec<_>> = (0..parts.len()).map(one).collect();
    resources.filter(|resources| !resources.is_empty())
}

/// The bytes of a file in three versions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Versions<'a> {
    pub(super) path: &'a str,
    pub(super) origin: Option<&'a [u8]>,
    pub(super) updated: Option<&'a [u8]>,
    pub(super) local: Option<&'a [u8]>,
}

/// What a merged file is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Merged {
    /// Its text; `None` when nothing is left.
    Text(Option<String>),
    /// It holds something that is no resource: it is taken as a whole.
    Opaque,
}

/// How to merge.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    pub(super) schemas: &'a Schemas,
    /// Files that are no resources, whatever they are called.
    pub(super) ignored: &'a Ignored,
    pub(super) on_conflict: OnConflict,
    pub(super) conflicts: Vec<Conflict>,
}

#[derive(Debug, Clone, Copy)]
struct Pair<'a> {
    origin: Option<&'a Resource<'a>>,
    updated: Option<&'a Resource<'a>>,
    local: Option<&'a Resource<'a>>,
}

impl Merge<'_> {
    /// Merges a file, resource by resource. `package` is set for the Kptfile of a package.
    pub(super) fn file(&mut self, versions: &Versions<'_>, package: Option<Package>) -> Result<Merged, Vec<Problem>> {
        let parse = |version: &str, bytes: Option<&[u8]>| {
            bytes
                .map(|bytes| medium::read(versions.path, bytes))
                .transpose()
                .map_err(|error| vec![Problem::unreadable(&format!("{version}/{}", versions.path), &error)])
        };
        let (origin, updated, local) =
            (parse("origin", versions.origin)?, parse("updated", versions.updated)?, parse("local", versions.local)?);
        let resources = [&origin, &updated, &local].map(|parts| {
            parts.as_ref().map_or(Some(Vec::new()), |parts| read(parts, versions.path, package.is_some()))
        });
        let [Some(origin), Some(updated), Some(local)] = resources else { return Ok(Merged::Opaque) };
        let origin = by_identity("origin", versions.path, &origin)?;
        let by_local = by_identity("local", versions.path, &local)?;
        let by_updated = by_identity("updated", versions.path, &updated)?;
        let pair = |identity: &Identity| Pair {
            origin: origin.get(identity).copied(),
            updated: by_updated.get(identity).copied(),
            local: by_local.get(identity).copied(),
        };
        let mut pieces: Vec<(&Identity, String)> = Vec::new();
        for resource in &local {
            let merged = self.resource(versions.path, &pair(&resource.identity), package);
            pieces.extend(merged.map(|text| (&resource.identity, text)));
        }
        let mut place = 0;
        for resource in &updated {
            let identity = &resource.identity;
            if let Some(at) = pieces.iter().position(|(other, _)| *other == identity) {
                place = at + 1;
            } else if !by_local.contains_key(identity)
                && let Some(text) = self.resource(versions.path, &pair(identity), package)
            {
                pieces.insert(place, (identity, text));
                place += 1;
            }
        }
        let starts_marked = local.first().or(updated.first()).is_some_and(|first| !marker(first.text()).is_empty());
        Ok(Merged::Text(assembled(pieces.into_iter().map(|(_, text)| text), starts_marked)))
    }

    /// The text of a merged resource; `None` when it is gone.
    fn resource(&mut self, path: &str, pair: &Pair<'_>, package: Option<Package>) -> Option<String> {
        match (pair.origin, pair.updated, pair.local) {
            (None, Some(updated), None) => Some(updated.text().to_owned()),
            (Some(origin), None, Some(local)) => {
                if same(&origin.value, &local.value) && package.is_none() {
                    return None;
                }
                if package.is_none() {
                    self.whole(path, local, Held::Changed, local.line(&[]), Held::Nothing, 1);
                }
                Some(local.text().to_owned())
            }
            (Some(origin), Some(updated), None) => {
                if !same(&origin.value, &updated.value) {
                    self.whole(path, updated, Held::Nothing, 1, Held::Changed, updated.line(&[]));
                }
                None
            }
            (_, Some(updated), Some(local)) => Some(self.both(path, pair.origin, updated, local, package)),
            (_, None, Some(local)) => Some(local.text().to_owned()),
            (_, None, None) => None,
        }
    }

    fn whole(&mut self, path: &str, of: &Resource<'_>, local: Held, local_line: usize, updated: Held, line: usize) {
        self.conflicts.push(Conflict {
            object: shown(of),
            field: None,
            local: Side { held: local, at: format!("{path}:{local_line}") },
            upstream: Side { held: updated, at: format!("{path}:{line}") },
            taken: Taken::Local,
        });
    }

    fn both(
        &mut self,
        path: &str,
        origin: Option<&Resource<'_>>,
        updated: &Resource<'_>,
        local: &Resource<'_>,
        package: Option<Package>,
    ) -> String {
        let (before, after, own) = (origin.map(Resource::body), updated.body(), local.body());
        if before.as_ref() == Some(&after) || after == own {
            return local.text().to_owned();
        }
        if before.as_ref() == Some(&own) && package.is_none() {
            return format!("{}{after}", marker(local.text()));
        }
        let mut walk = Walk::new(self.on_conflict);
        let gvk = Gvk::parse(text(&local.value, "/apiVersion"), text(&local.value, "/kind"));
        let schema = self.schemas.lookup(&gvk).0.node();
        let three =
            Three { origin: origin.map(|o| &o.value), updated: Some(&updated.value), local: Some(&local.value) };
        let pick = match package {
            Some(package) => kptfile::decide(&mut walk, three, package),
            None => walk.decide(three, schema),
        };
        for clash in &walk.clashes {
            self.conflicts.push(conflict(path, clash, updated, local));
        }
        if is_json_file(path) {
            let value = picked(&pick, Some(&updated.value), Some(&local.value)).unwrap_or(Value::Null);
            let part = local.document.root().and_then(|root| json::Part::root(local.text(), root, &local.value));
            return part.map_or_else(|| format!("{value:#}\n"), |part| part.with(&value));
        }
        let written = match (updated.part(), local.part()) {
            (Some(updated), Some(local)) => write(origin.and_then(Resource::part), updated, local, &pick),
            _ => None,
        };
        written.unwrap_or_else(|| {
            let value = picked(&pick, Some(&updated.value), Some(&local.value)).unwrap_or(Value::Null);
            format!("{}{}", marker(local.text()), to_yaml(&value))
        })
    }
}

fn by_identity<'a>(
    version: &str,
    path: &str,
    resources: &'a [Resource<'a>],
) -> Result<BTreeMap<&'a Identity, &'a Resource<'a>>, Vec<Problem>> {
    let mut found: BTreeMap<&Identity, &Resource<'_>> = BTreeMap::new();
    let mut problems = Vec::new();
    for resource in resources {
        if let Some(first) = found.insert(&resource.identity, resource) {
            let message = format!("{} is there twice: here and on line {}", shown(resource), first.line(&[]));
            let file = format!("{version}/{path}");
            let problem = Problem::new("package.duplicate_identity", &file, resource.line(&[]), message);
            problems.push(problem.hint("give each its own name or its own kpt-merge comment"));
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn shown(resource: &Resource<'_>) -> String {
    let field = |pointer: &str| text(&resource.value, pointer).to_owned();
    let kind = field("/kind");
    let group = Gvk::parse(&field("/apiVersion"), &kind).group;
    ObjectId { group, kind, namespace: field("/metadata/namespace"), name: field("/metadata/name") }.to_string()
}

fn conflict(path: &str, clash: &Clash, updated: &Resource<'_>, local: &Resource<'_>) -> Conflict {
    let is_secret = text(&local.value, "/kind") == "Secret" || text(&updated.value, "/kind") == "Secret";
    let hidden = is_secret && clash.local_at.first().is_some_and(|field| field == "data" || field == "stringData");
    let is_kptfile = text(&local.value, "/kind") == FILE;
    let held = |value: &Option<Value>, resource: &Resource<'_>, at: &[String]| match value {
        None => Held::Nothing,
        Some(_) if hidden => Held::Changed,
        Some(value) if is_kptfile => Held::Value(as_written(value, resource.at(at))),
        Some(value) => Held::Value(value.clone()),
    };
    let side = |value: &Option<Value>, resource: &Resource<'_>, at: &[String]| Side {
        held: held(value, resource, at),
        at: format!("{path}:{}", resource.line(at)),
    };
    Conflict {
        object: shown(local),
        field: Some(clash.path.to_string()),
        local: side(&clash.local, local, &clash.local_at),
        upstream: side(&clash.updated, updated, &clash.updated_at),
        taken: clash.taken,
    }
}

/// A value with its scalars as texts, as they are written: so kpt reads what a Kptfile says.
fn as_written(value: &Value, node: Option<&Node>) -> Value {
    let below = |step: &str| node.and_then(|node| node.at(&[step]));
    match value {
        Value::Bool(_) | Value::Number(_) => node.and_then(Node::scalar).map_or_else(|| value.clone(), Value::from),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), as_written(value, below(key)))).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| as_written(item, below(&index.to_string()))).collect()
        }
        Value::Null | Value::String(_) => value.clone(),
    }
}

/// Pieces as a file: each but the first behind a `---`.
fn assembled(pieces: impl Iterator<Item = String>, starts_marked: bool) -> Option<String> {
    let mut whole: Option<String> = None;
    for piece in pieces {
        whole = Some(match whole {
            None if starts_marked => piece,
            None => piece.strip_prefix("---\n").map_or_else(|| piece.clone(), str::to_owned),
            Some(mut before) => {
                if !before.ends_with('\n') {
                    before.push('\n');
                }
                if marker(&piece).is_empty() && !piece.starts_with("---") {
                    before.push_str("---\n");
                }
                before + &piece
            }
        });
    }
    whole
}
