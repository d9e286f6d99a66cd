//! Creating and replacing objects.
//!
//! Order, as in the API server: read and default, own, prepare, validate, store; then what follows from it
//! ([`super::life`]).

use std::sync::Arc;

use serde_json::{Value, json};

use crate::apiserver::core::{Core, Writer, Written, crds, top};
use crate::apiserver::judge::judge;
use crate::apiserver::kinds::Kind;
use crate::apiserver::route::{Part, Target};
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::store::{Key, StoreError, revision_of};
use crate::apiserver::{addresses, admit, convert, decode, metadata, scale, zero};
use crate::domain::krm::rules::{definition_warnings, keep_empties, warnings};
use crate::domain::krm::{ApplyOptions, Gvk, Path, managed, update};

/// How often a write that names no revision is tried again after somebody else was faster.
const ATTEMPTS: usize = 10;

/// Who owns the fields of an object that is about to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ownership {
    /// The writer owns what it changes.
    Update,
    /// It has been settled already, by an apply.
    Settled,
}

impl Core {
    /// Creates an object of the kind that it names, in the namespace that it names.
    ///
    /// # Errors
    /// As the API server: 400, 403, 404, 409, 422.
    pub fn create(&self, object: Value, writer: &Writer) -> Result<Written, ApiError> {
        let kind = self.kind_of(&object)?;
        let namespace = kind.namespaced.then(|| metadata::text(&object, "namespace").to_owned());
        self.create_in(&Target { kind, namespace, name: None, part: Part::Whole }, object, writer)
    }

    /// Creates an object of a kind in a namespace.
    pub(super) fn create_in(&self, target: &Target, mut object: Value, writer: &Writer) -> Result<Written, ApiError> {
        let kind = &target.kind;
        if !metadata::text(&object, "resourceVersion").is_empty() {
            return Err(ApiError::unforeseen("resourceVersion should not be set on objects to be created"));
        }
        let place = (target.namespace.as_deref(), target.name.as_deref());
        let warnings = decode::read(&self.kinds(), kind, &mut object, place, writer)?;
        let object = self.owned(kind, None, &object, &Part::Whole, writer);
        let told = warnings.clone();
        self.insert(target, object, writer, warnings).map_err(|error| error.with_warnings(&told))
    }

    /// Stores a new object whose ownership is settled.
    pub(super) fn insert(
        &self,
        target: &Target,
        mut object: Value,
        writer: &Writer,
        warnings: Vec<String>,
    ) -> Result<Written, ApiError> {
        let kind = &target.kind;
        self.check_lasting(kind, metadata::text(&object, "name"))?;
        self.give_name(kind, &mut object);
        let told = warnings_of(target, None, &object);
        metadata::begin(kind, &mut object, metadata::uid(&self.seed(&kind.gvk.kind)), self.now());
        if !kind.is_custom() {
            admit::prepare(&kind.gvk, &mut object);
            addresses::assign(self, &kind.gvk, &mut object);
        }
        let name = metadata::text(&object, "name").to_owned();
        judge(kind, &Part::Whole, None, &object)?;
        let key = Key::new(&kind.stored_as, target.namespace.as_deref().unwrap_or_default(), &name);
        let stored = convert::stored(kind, &self.storage_of(kind), object);
        let refuse = |error| {
            let error = ApiError::from_store(error, &kind.resource(), &name);
            let leaving = self.store().get(&key).as_deref().is_some_and(metadata::is_terminating);
            let error = if leaving { error.while_leaving() } else { error };
            error.with_warnings(&told)
        };
        let object = if writer.dry_run {
            self.could_create(&key).map_err(refuse)?;
            Arc::new(stored)
        } else {
            let object = self.store().create(&key, stored).map_err(refuse)?;
            self.follow(&key);
            object
        };
        Ok(Written { object, created: true, warnings: [warnings, told].concat() })
    }

    /// Nothing new comes of a definition on its way out.
    fn check_lasting(&self, kind: &Kind, name: &str) -> Result<(), ApiError> {
        let crd = kind.crd.as_ref().and_then(|crd| self.store().get(&Key::new(&crds(), "", crd)));
        if !crd.as_deref().is_some_and(metadata::is_terminating) {
            return Ok(());
        }
        let why = "create not allowed while custom resource definition is terminating";
        Err(ApiError::forbidden(&kind.resource(), name, why))
    }

    fn could_create(&self, key: &Key) -> Result<(), StoreError> {
        if self.store().get(key).is_some() {
            return Err(StoreError::Exists(key.clone()));
        }
        if key.namespace.is_empty() {
            return Ok(());
        }
        match self.store().get(&Key::of_namespace(&key.namespace)) {
            None => Err(StoreError::NoNamespace(key.namespace.clone())),
            Some(found) if metadata::is_terminating(&found) => {
                Err(StoreError::NamespaceTerminating(key.namespace.clone()))
            }
            Some(_) => Ok(()),
        }
    }

    fn give_name(&self, kind: &Kind, object: &mut Value) {
        let base = metadata::text(object, "generateName").to_owned();
        if metadata::text(object, "name").is_empty() && !base.is_empty() {
            let name = metadata::generated_name(&base, &self.seed(&kind.gvk.kind));
            metadata::set(object, "name", Value::String(name));
        }
    }

    /// An object with the ownership of what the writer changed.
    pub(super) fn owned(&self, kind: &Kind, old: Option<&Value>, new: &Value, part: &Part, writer: &Writer) -> Value {
        if *part == Part::Scale {
            return self.owned_scale(kind, old, new, writer);
        }
        let reset = reset(kind, old, new, part);
        let options = self.options(writer, part, &reset);
        let before = old.cloned().or_else(|| (!kind.is_custom()).then(|| zero::of(&kind.gvk)));
        update(before.as_ref(), new, &options, self.kinds().merge_schema(&kind.gvk))
    }

    /// Replicas without an owner get none by an update, and who scales does so at no known time.
    fn owned_scale(&self, kind: &Kind, old: Option<&Value>, new: &Value, writer: &Writer) -> Value {
        let mut object = new.clone();
        if old.is_none_or(|old| scale::has_owner(kind, old)) {
            let options = self.options(writer, &Part::Scale, &[]);
            let old = old.map(|old| scale::shown(kind, old));
            let new_scale = scale::shown(kind, new);
            object = update(old.as_ref(), &new_scale, &options, self.kinds().merge_schema(&kind.gvk));
            scale::forget_times(&mut object);
            scale::copy_replicas(kind, new, &mut object);
        }
        scale::part_owners(kind, &mut object);
        object
    }

    pub(super) fn options<'a>(&self, writer: &'a Writer, part: &Part, reset: &'a [Path]) -> ApplyOptions<'a> {
        let subresource = if *part == Part::Finalize { "" } else { part.as_str() };
        ApplyOptions { manager: &writer.manager, force: writer.force, subresource, now: self.now(), reset, blank: None }
    }

    /// Replaces an object, or a part of it. The object says at which revision it expects the stored one, or nothing.
    ///
    /// # Errors
    /// As the API server: 400, 404, 409, 422.
    pub fn replace(&self, target: &Target, object: &Value, writer: &Writer) -> Result<Written, ApiError> {
        let name = target.name.clone().unwrap_or_else(|| metadata::text(object, "name").to_owned());
        let mut object = object.clone();
        if metadata::text(&object, "name").is_empty() {
            return Err(self.nameless(target, &name, object, writer));
        }
        let place = (target.namespace.as_deref(), Some(name.as_str()));
        let warnings = decode::read(&self.kinds(), &target.kind, &mut object, place, writer)?;
        if needs_revision(&target.kind) && metadata::text(&object, "resourceVersion").is_empty() {
            let cause = Cause::invalid("metadata.resourceVersion", &json!(0), "must be specified for an update");
            let absent = self.store().get(&target.key(&name)).is_none();
            let missing = || ApiError::not_found(&target.resource(), &name);
            let error = ApiError::invalid_as(&target.kind.resource(), &name, vec![cause]);
            return Err(if absent { missing() } else { error }.with_warnings(&warnings));
        }
        let writer = &writer.once_told();
        let told = |written: Written| Written { warnings: [warnings.clone(), written.warnings].concat(), ..written };
        if creates_on_update(&target.kind) && self.store().get(&target.key(&name)).is_none() {
            check_uid(target, &name, &json!({}), &object, writer).map_err(|error| error.with_warnings(&warnings))?;
            return self.create_in(target, object, writer).map(told).map_err(|error| error.with_warnings(&warnings));
        }
        let replaced = self.edit(target, &name, writer, |old| {
            check_uid(target, &name, old, &object, writer)?;
            Ok(object.clone())
        });
        replaced.map(told).map_err(|error| error.with_warnings(&warnings))
    }

    /// What is wrong with an object without a name: that, unless it cannot be read at all.
    fn nameless(&self, target: &Target, name: &str, mut object: Value, writer: &Writer) -> ApiError {
        let error = ApiError::nameless(name);
        let namespace = target.namespace.as_deref();
        let read = decode::check_envelope(&self.kinds(), &target.kind, &mut object, namespace, Some(name));
        match read.and_then(|()| decode::settle(&self.kinds(), &target.kind, &mut object, writer)) {
            Ok(warnings) => error.with_warnings(&warnings),
            Err(unread) => unread,
        }
    }

    /// Replaces an object of the kind that it names; an [`Core::replace`] for the server's own controllers.
    ///
    /// # Errors
    /// As [`Core::replace`].
    pub fn update(&self, object: &Value, writer: &Writer) -> Result<Written, ApiError> {
        self.replace(&self.target_of(object, Part::Whole)?, object, writer)
    }

    /// Replaces the status of an object of the kind that it names.
    ///
    /// # Errors
    /// As [`Core::replace`].
    pub fn update_status(&self, object: &Value, writer: &Writer) -> Result<Written, ApiError> {
        self.replace(&self.target_of(object, Part::Status)?, object, writer)
    }

    fn target_of(&self, object: &Value, part: Part) -> Result<Target, ApiError> {
        let kind = self.kind_of(object)?;
        let namespace = kind.namespaced.then(|| metadata::text(object, "namespace").to_owned());
        let part = if kind.subresources.status { part } else { Part::Whole };
        Ok(Target { kind, namespace, name: Some(metadata::text(object, "name").to_owned()), part })
    }

    /// Reads, edits and stores an object, again when somebody else was faster and the edit names no revision.
    pub(super) fn edit(
        &self,
        target: &Target,
        name: &str,
        writer: &Writer,
        edit: impl Fn(&Value) -> Result<Value, ApiError>,
    ) -> Result<Written, ApiError> {
        let mut last = ApiError::modified(&target.resource(), name);
        for _ in 0..ATTEMPTS {
            let stored = self.store().get(&target.key(name));
            let stored = stored.ok_or_else(|| ApiError::not_found(&target.resource(), name))?;
            let old = convert::shown(&target.kind, &stored);
            let mut new = edit(&old)?;
            check_revision(target, name, &old, &new)?;
            let sent = new.clone();
            let warnings = decode::settle(&self.kinds(), &target.kind, &mut new, writer)?;
            keep_empties(&target.kind.gvk, &old, &sent, &mut new);
            match self.finish(target, &old, new, writer, Ownership::Update) {
                Err(error) if error.is_stale_write() => last = error.with_warnings(&warnings),
                Err(error) => return Err(error.with_warnings(&warnings)),
                done => {
                    return done.map(|written| Written { warnings: [warnings, written.warnings].concat(), ..written });
                }
            }
        }
        Err(last)
    }

    /// Stores `new` in the place of `old`, both as clients of the kind see them.
    pub(super) fn finish(
        &self,
        target: &Target,
        old: &Value,
        mut new: Value,
        writer: &Writer,
        ownership: Ownership,
    ) -> Result<Written, ApiError> {
        let kind = &target.kind;
        let name = metadata::text(old, "name");
        metadata::carry_over(old, &mut new);
        if let Some(version) = old.pointer("/metadata/resourceVersion") {
            metadata::set(&mut new, "resourceVersion", version.clone());
        }
        if ownership == Ownership::Update {
            new = self.owned(kind, Some(old), &new, &target.part, writer);
        }
        if !kind.is_custom() {
            addresses::keep(&kind.gvk, old, &mut new);
            addresses::assign(self, &kind.gvk, &mut new);
            if target.part != Part::Finalize {
                admit::prepare_update(&kind.gvk, old, &mut new);
            }
        }
        if target.part != Part::Status {
            metadata::count_generation(kind, old, &mut new);
        }
        if managed::same_but_times(old, &new) {
            return Ok(Written { object: Arc::new(old.clone()), created: false, warnings: Vec::new() });
        }
        judge(kind, &target.part, Some(old), &new)?;
        let warnings = warnings_of(target, Some(old), &new);
        let key = target.key(name);
        let expected = revision_of(old);
        let is_done = may_go(&new);
        let stored = convert::stored(kind, &self.storage_of(kind), new);
        let refuse = |error| ApiError::from_store(error, &kind.resource(), name);
        let object = if writer.dry_run {
            Arc::new(stored)
        } else if is_done {
            self.store().delete(&key, expected).map_err(refuse)?;
            Arc::new(stored)
        } else {
            self.store().update(&key, stored, expected).map_err(refuse)?
        };
        if !writer.dry_run {
            self.follow(&key);
        }
        Ok(Written { object, created: false, warnings })
    }
}

/// What the server warns of in an object that it takes.
fn warnings_of(target: &Target, old: Option<&Value>, new: &Value) -> Vec<String> {
    let kind = &target.kind;
    if !matches!(target.part, Part::Whole | Part::Scale) {
        return Vec::new();
    }
    let of_kind = if kind.is_custom() { Vec::new() } else { warnings(&kind.gvk, old, new) };
    if target.part == Part::Scale {
        return of_kind;
    }
    let mut found = metadata::finalizer_warnings(kind, old, new);
    if old.is_none() && !kind.is_custom() {
        found.extend(metadata::name_warning(&kind.gvk, metadata::text(new, "name")));
    }
    if kind.stored_as == crds() {
        found.extend(definition_warnings(old, new));
    }
    found.extend(of_kind);
    found
}

/// Whether nothing holds an object any more that is on its way out.
pub(super) fn may_go(object: &Value) -> bool {
    let is_namespace = object.get("kind").and_then(Value::as_str) == Some("Namespace");
    let held = object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    metadata::is_terminating(object) && metadata::finalizers(object).is_empty() && !(is_namespace && held)
}

/// The revision that a new object names must be that of the old one.
pub(super) fn check_revision(target: &Target, name: &str, old: &Value, new: &Value) -> Result<(), ApiError> {
    let version = metadata::text(new, "resourceVersion");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(ApiError::unforeseen(format!("strconv.ParseUint: parsing {version:?}: invalid syntax")));
    }
    let fits = matches!(version, "" | "0") || version == metadata::text(old, "resourceVersion");
    if fits { Ok(()) } else { Err(ApiError::modified(&target.resource(), name)) }
}

/// The uid that a replacement names must be that of the old object.
fn check_uid(target: &Target, name: &str, old: &Value, new: &Value, writer: &Writer) -> Result<(), ApiError> {
    let (wanted, found) = (metadata::text(new, "uid"), metadata::text(old, "uid"));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in \
         precondition: {wanted}, UID in object meta: {found}",
        storage_key(target, name, writer.dry_run)
    );
    Err(ApiError::conflict(&target.resource(), name, &why))
}

/// Whether a replacement makes an object that is not there.
fn creates_on_update(kind: &Kind) -> bool {
    const KINDS: [&str; 7] =
        ["Service", "Endpoints", "LimitRange", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"];
    !kind.is_custom() && KINDS.contains(&kind.gvk.kind.as_str())
}

/// Whether a replacement must say at which revision it expects the object.
fn needs_revision(kind: &Kind) -> bool {
    kind.is_custom() || matches!(kind.gvk.kind.as_str(), "PodDisruptionBudget" | "CustomResourceDefinition" | "Lease")
}

/// Where the real server keeps an object: its message names the place, from a root that dry runs do not have.
fn storage_key(target: &Target, name: &str, dry_run: bool) -> String {
    let kind = &target.kind;
    let place = match (kind.gvk.group.as_str(), kind.plural.as_str()) {
        ("", "services") => "services/specs".to_owned(),
        ("", "endpoints") => "services/endpoints".to_owned(),
        ("", "nodes") => "minions".to_owned(),
        ("networking.k8s.io", "ingresses") => "ingress".to_owned(),
        (group, plural) if kind.is_custom() || group == "apiextensions.k8s.io" => format!("{group}/{plural}"),
        (_, plural) => plural.to_owned(),
    };
    let namespace = target.namespace.as_deref().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    let root = if dry_run { "" } else { "/registry" };
    format!("{root}/{place}/{namespace}{name}")
}

/// The fields that a write to a part of an object leaves alone.
pub(super) fn reset(kind: &Kind, old: Option<&Value>, new: &Value, part: &Part) -> Vec<Path> {
    match part {
        Part::Status => {
            let fields =
                |object: &Value| object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            let mut names: std::collections::BTreeSet<String> = old.map(fields).unwrap_or_default();
            names.extend(fields(new));
            // The status of a built-in kind takes metadata along, but for labels of deployments.
            let kept = |name: &&String| {
                !matches!(name.as_str(), "apiVersion" | "kind" | "status")
                    && (kind.is_custom() || name.as_str() != "metadata")
            };
            let labels =
                (kind.gvk == Gvk::new("apps", "v1", "Deployment")).then(|| Path::fields(&["metadata", "labels"]));
            names.iter().filter(kept).map(|name| top(name)).chain(labels).collect()
        }
        Part::Finalize => vec![top("metadata"), top("status")],
        _ if kind.subresources.status => vec![top("status")],
        _ => Vec::new(),
    }
}
