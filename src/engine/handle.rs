//! What people ask for, whether by command line or, later, by API: previews and decisions. No rule lives here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kube::api::ObjectMeta;

use super::agenda::{Agenda, Wanted};
use super::candidate::Existing;
use super::confirm::Answers;
use super::gather::{Situation, World, all, key, taken};
use super::planning::{Planned, schemas};
use super::propose::{CONFLICT, REVERTS};
use super::{Engine, EngineError, MANAGER};
use crate::cluster::ClusterError;
use crate::domain::id::{Digest, NamespacedName, PackageName, RepositoryName, TargetName, WorkspaceName};
use crate::domain::intent::read::{Declared, cnf_deployment, sync_of};
use crate::domain::intent::repository::RepositorySpec;
use crate::domain::intent::sync::{SyncSpec, ignore_rules};
use crate::domain::intent::{CNFDeployment, SOURCE_REPOSITORY, Sync, expand};
use crate::domain::krm::{Gvk, IgnoreRule, ObjectDiff, ObjectId};
use crate::domain::plan::{DeclaredObject, Plan, declared_digest, differences};
use crate::domain::rollout::{Hold, Record, SyncState};
use crate::domain::source::FileTree;
use crate::ports::forge::{Forge, Proposal};
use crate::ports::revisions::{DraftContent, PackageRevision};
use crate::ports::state::StateError;

/// How often a state is read and written again before somebody else's writes are told as a conflict.
const ATTEMPTS: u32 = 10;

/// Rules of `spec.ignore` that are about no object: often a kind that is misspelt.
fn idle_rules(spec: &SyncSpec, objects: &[DeclaredObject]) -> Vec<String> {
    let rules = ignore_rules(spec).unwrap_or_default();
    let idle = |(_, rule): &(usize, IgnoreRule)| !objects.iter().any(|wanted| rule.matches(&wanted.object));
    let told = |(number, rule): (usize, IgnoreRule)| {
        let parts =
            [("kind", &rule.kind), ("group", &rule.group), ("namespace", &rule.namespace), ("name", &rule.name)];
        let parts = parts.iter().filter_map(|(name, part)| Some(format!("{name} {:?}", part.as_ref()?)));
        let about = parts.collect::<Vec<_>>().join(", ");
        format!("spec.ignore[{number}] is about no object of the package: {about}")
    };
    if objects.is_empty() { Vec::new() } else { rules.into_iter().enumerate().filter(idle).map(told).collect() }
}

/// What would happen to one Sync.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The Sync.
    pub sync: NamespacedName,
    /// The plan over all targets that answer.
    pub plan: Plan,
    /// The same target by target, with what each holds and answered.
    pub judged: Vec<(Planned, Answers)>,
    /// Targets that do not answer, and why.
    pub silent: Vec<String>,
    /// What else to know: why it would not be carried out, such as a hold; settings that do nothing.
    pub notes: Vec<String>,
}

/// A proposal with the forge it is on.
pub struct Found {
    /// The repository.
    pub repository: RepositoryName,
    /// Its forge.
    pub forge: Arc<dyn Forge>,
    /// The proposal.
    pub proposal: Proposal,
}

/// Who says what would happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// We do, from schemas.
    Schemas,
    /// The targets do, in dry runs.
    Targets,
    /// Nobody has to: everything goes.
    Teardown,
}

impl Engine {
    /// What the controller would do if these intents were committed; intents of the cluster that are not among them
    /// would be withdrawn.
    ///
    /// # Errors
    /// [`EngineError`] naming the intent that cannot be previewed.
    pub async fn preview(
        &self,
        world: &World,
        namespace: &str,
        declared: &[Declared],
        judge: Judge,
    ) -> Result<Vec<Preview>, EngineError> {
        let mut previews = Vec::new();
        for intent in declared {
            let unreadable = |reason| EngineError::Object { what: format!("{}:{}", intent.file, intent.line), reason };
            previews.push(match intent.object.kind() {
                "CNFDeployment" => {
                    self.preview_cnf(world, &cnf_deployment(&intent.object).map_err(unreadable)?, judge).await?
                }
                _ => self.preview_sync(world, &sync_of(&intent.object).map_err(unreadable)?, judge).await?,
            });
        }
        let kind = Gvk::new("nephoran.com", "v1", "CNFDeployment");
        let live: Vec<CNFDeployment> = all(&self.management, &kind, namespace).await?;
        for gone in live.iter().filter(|live| {
            let from_git = live.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(SOURCE_REPOSITORY));
            let kept = declared
                .iter()
                .any(|intent| intent.object.kind() == "CNFDeployment" && intent.object.name() == key(*live).name);
            from_git && !kept
        }) {
            previews.extend(self.preview_withdrawal(world, &key(gone)).await?);
        }
        Ok(previews)
    }

    async fn preview_cnf(&self, world: &World, intent: &CNFDeployment, judge: Judge) -> Result<Preview, EngineError> {
        let unit = key(intent);
        let who = format!("CNFDeployment {unit}");
        let context = self.expand_context(&who, world, &unit.namespace).await?;
        let demand = expand(intent, &context)
            .map_err(|error| EngineError::Object { what: who.clone(), reason: error.to_string() })?;
        let sync = sync_object(&demand.unit, demand.sync.clone());
        let situation = self.gather(&sync, world).await?;
        let existing = Existing::read(situation.packages.as_ref(), &situation.agenda).await?;
        let found = self.candidate(&who, world, &unit.namespace, &demand, &existing).await?;
        let mut preview = self.preview_objects(situation, &found.rendered.objects, judge).await?;
        preview.notes.extend(found.remarks);
        preview.notes.extend(found.conflicts.iter().map(|conflict| format!("{CONFLICT} {conflict}")));
        Ok(preview)
    }

    /// What is left to do for a Sync as it is published; before its first publication, what its candidate would do.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn preview_sync(&self, world: &World, sync: &Sync, judge: Judge) -> Result<Preview, EngineError> {
        let situation = self.gather(sync, world).await?;
        let missing = || EngineError::Reference {
            what: format!("Sync {}", situation.key),
            kind: "a published or proposed revision of package",
            name: situation.package.to_string(),
        };
        let agenda = &situation.agenda;
        let revision = agenda.published.as_ref().or(agenda.candidate.as_ref()).ok_or_else(missing)?.clone();
        let tree = situation.packages.content(&revision).await?;
        let objects = rendered(&tree, &revision)?;
        let is_published = agenda.published.is_some();
        let mut preview = self.preview_objects(situation, &objects, judge).await?;
        if !is_published {
            let told =
                format!("nothing is published yet; this is what {} ({:?}) would do", revision.name, revision.lifecycle);
            preview.notes.push(told);
        }
        Ok(preview)
    }

    async fn preview_withdrawal(&self, world: &World, unit: &NamespacedName) -> Result<Option<Preview>, EngineError> {
        let Some(sync) = self.sync(unit).await? else { return Ok(None) };
        let situation = self.gather(&sync, world).await?;
        Ok(Some(self.preview_objects(situation, &[], Judge::Teardown).await?))
    }

    async fn preview_objects(
        &self,
        situation: Situation,
        objects: &[DeclaredObject],
        judge: Judge,
    ) -> Result<Preview, EngineError> {
        let wanted = (judge != Judge::Teardown).then_some(objects);
        let (planned, mut silent) = self.survey(&situation, wanted).await?;
        silent.extend(situation.reasons);
        let judged = match judge {
            Judge::Targets => self.confirm(&situation.seats, planned).await?,
            Judge::Schemas | Judge::Teardown => planned.into_iter().map(|planned| (planned, Answers::new())).collect(),
        };
        let units = judged.iter().map(|(planned, _)| planned.plan.clone()).collect();
        let plan = Plan::new(declared_digest(wanted.unwrap_or_default()), units);
        let state = self.state.get(&situation.key).await?.value;
        let holds = state.holds.get(&plan.declared).map(Hold::told);
        let taken = situation.taken_by.as_ref().map(|other| taken(situation.package.as_str(), other));
        let notes = taken.into_iter().chain(holds).chain(idle_rules(&situation.sync.spec, objects)).collect();
        Ok(Preview { sync: situation.key, plan, judged, silent, notes })
    }

    /// What a preview changes on each target, object by object: every change is foretold once more, so ask only to show
    /// it.
    #[must_use]
    pub fn differences(&self, preview: &Preview) -> BTreeMap<TargetName, Vec<ObjectDiff>> {
        let of = |(planned, answers): &(Planned, Answers)| {
            let Planned { declared, observed, plan } = planned;
            let schemas = schemas(&self.schemas, declared, observed);
            (plan.unit.target.clone(), differences(plan, declared, observed, &schemas, MANAGER, answers))
        };
        preview.judged.iter().map(of).collect()
    }

    /// A Sync by name; `None` when there is none.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn sync(&self, name: &NamespacedName) -> Result<Option<Sync>, EngineError> {
        let kind = Gvk::new("loggia.dev", "v1alpha1", "Sync");
        let found = self.management.get(&kind, &name.namespace, &name.name).await?;
        let unreadable =
            |error: serde_json::Error| EngineError::Object { what: format!("Sync {name}"), reason: error.to_string() };
        found.map(|object| serde_json::from_value(object.into_value()).map_err(unreadable)).transpose()
    }

    /// Every proposal of the namespace's repositories of deployments, and of those whose packages its Syncs apply.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn proposals(&self, world: &World, namespace: &str) -> Result<Vec<Found>, EngineError> {
        let syncs: Vec<Sync> = all(&self.management, &Gvk::new("loggia.dev", "v1alpha1", "Sync"), namespace).await?;
        let applied: BTreeSet<&str> = syncs.iter().map(|sync| sync.spec.package.repository.as_str()).collect();
        let asked =
            |key: &NamespacedName, spec: &RepositorySpec| spec.deployment || applied.contains(key.name.as_str());
        let mut found = Vec::new();
        let here = world.repositories.iter().filter(|(key, _)| key.namespace == namespace);
        for (key, object) in here.filter(|(key, object)| asked(key, &object.spec)) {
            // One that cannot be read as a place holds no proposals; its own conditions say why.
            let Ok(location) = super::gather::location(object) else { continue };
            let forge = self.repositories.forge(&location)?;
            for proposal in forge.list().await? {
                found.push(Found {
                    repository: RepositoryName::new(key.name.clone())?,
                    forge: forge.clone(),
                    proposal,
                });
            }
        }
        Ok(found)
    }

    /// Every revision of every repository of packages.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn revisions(&self, world: &World, namespace: &str) -> Result<Vec<PackageRevision>, EngineError> {
        let mut found = Vec::new();
        for (_, object) in world.repositories.iter().filter(|(key, _)| key.namespace == namespace) {
            found.extend(self.repositories.packages(&super::gather::location(object)?)?.list().await?);
        }
        Ok(found)
    }

    /// Holds a digest; the controller is told to look again.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn hold(
        &self,
        sync: &NamespacedName,
        digest: &Digest,
        reason: &str,
        by: &str,
    ) -> Result<(), EngineError> {
        let (at, revision) = (self.now(), String::new());
        let hold = Hold { reason: reason.to_owned(), by: by.to_owned(), at, revision, reverted: false };
        self.amend(sync, |state| {
            state.holds.insert(digest.clone(), hold.clone());
            state.record(self.said("held", Some(digest), by, reason));
        })
        .await?;
        self.request(sync).await
    }

    /// Changes what is remembered of a Sync, again where the controller wrote it in between: what a person wants is not
    /// lost because much happens.
    async fn amend<T>(&self, sync: &NamespacedName, change: impl Fn(&mut SyncState) -> T) -> Result<T, EngineError> {
        let mut left = ATTEMPTS;
        loop {
            let mut state = self.state.get(sync).await?;
            let said = change(&mut state.value);
            match self.state.put(None, sync, &state).await {
                Err(StateError::Conflict(_)) if left > 1 => left -= 1,
                put => {
                    put?;
                    return Ok(said);
                }
            }
        }
    }

    /// What a person did, for the history.
    fn said(&self, event: &str, declared: Option<&Digest>, by: &str, message: &str) -> Record {
        Record {
            at: self.now(),
            event: event.to_owned(),
            target: None,
            revision: 0,
            declared: declared.cloned(),
            plan: None,
            by: by.to_owned(),
            message: format!("by {by}: {message}"),
        }
    }

    /// Suspends a Sync, or lets it go on: nothing is proposed, applied or corrected in between.
    ///
    /// # Errors
    /// [`EngineError::Cluster`], also when there is no such Sync.
    pub async fn suspend(&self, sync: &NamespacedName, suspend: bool, by: &str, why: &str) -> Result<(), EngineError> {
        let event = if suspend { "suspended" } else { "resumed" };
        self.amend(sync, |state| state.record(self.said(event, None, by, why))).await?;
        let kind = Gvk::new("loggia.dev", "v1alpha1", "Sync");
        let NamespacedName { namespace, name } = sync.clone();
        let id = ObjectId { group: kind.group.clone(), kind: kind.kind.clone(), namespace, name };
        let patch = serde_json::json!({
            "metadata": {"annotations": {"loggia.dev/requested-at": self.now().to_string()}}, "spec": {"suspend": suspend}
        });
        self.management.merge(None, &kind, &id, "", &patch).await?;
        Ok(())
    }

    /// Lifts the hold of a digest, or all; gives how many.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn resume(&self, sync: &NamespacedName, digest: Option<&Digest>, by: &str) -> Result<usize, EngineError> {
        let is_meant = |held: &Digest| digest.is_none_or(|digest| digest == held);
        if !self.state.get(sync).await?.value.holds.keys().any(is_meant) {
            return Ok(0);
        }
        let lifted = self
            .amend(sync, |state| {
                let before = state.holds.len();
                state.holds.retain(|held, _| !is_meant(held));
                let lifted = before - state.holds.len();
                if lifted > 0 {
                    state.record(self.said("resumed", None, by, &format!("{lifted} held digests let go")));
                }
                lifted
            })
            .await?;
        if lifted > 0 {
            self.request(sync).await?;
        }
        Ok(lifted)
    }

    /// Drafts an older revision's content again; the controller proposes it.
    ///
    /// # Errors
    /// [`EngineError::Reference`] when there is no such revision.
    pub async fn draft_rollback(
        &self,
        world: &World,
        sync: &Sync,
        to: Option<i64>,
    ) -> Result<PackageRevision, EngineError> {
        let name = key(sync);
        let location = world.location(&format!("Sync {name}"), &name.namespace, &sync.spec.package.repository)?;
        let store = self.repositories.packages(&location)?;
        let package = PackageName::new(sync.spec.package.name.clone())?;
        let agenda = Agenda::of(&store.list().await?, &package, &Wanted::Latest);
        let present = agenda.published.as_ref().map_or(0, |published| published.revision);
        let none = || EngineError::Refused {
            what: format!("rollback of {name}"),
            reason: format!(
                "no revision before v{present} was healthy; name one with --to, see `loggia history {}`",
                name.name
            ),
        };
        if let Some(candidate) = &agenda.candidate {
            let reason = format!(
                "{} is waiting ({:?}); approve it, or take the change back where it was asked for, see `loggia get proposals`",
                candidate.name, candidate.lifecycle
            );
            return Err(EngineError::Refused { what: format!("rollback of {name}"), reason });
        }
        if to == Some(present) {
            let reason = format!("v{present} is the present revision; name an older one");
            return Err(EngineError::Refused { what: format!("rollback of {name}"), reason });
        }
        let known = self.state.get(&name).await?.value;
        let number = to.or_else(|| known.healthy_before(present)).ok_or_else(none)?;
        let missing = || EngineError::Reference {
            what: format!("rollback of {name}"),
            kind: "published revision",
            name: format!("v{number} of {package}"),
        };
        let good = agenda.numbered(number).filter(|_| number != present).ok_or_else(missing)?;
        let content = DraftContent {
            files: store.content(good).await?,
            subject: "Creating new revision by copying previous revision".to_owned(),
            task: Some(serde_json::json!({"type": "edit", "edit": {"sourceRef": {"name": good.name.as_str()}}})),
            trailers: vec![(REVERTS.to_owned(), format!("v{present}, asked for by a person; back to v{number}"))],
        };
        let workspace = WorkspaceName::new(format!("rollback-v{present}"))?;
        Ok(store.create(None, &package, &workspace, content).await?)
    }

    /// Tells the controller to look again.
    async fn request(&self, sync: &NamespacedName) -> Result<(), EngineError> {
        let kind = Gvk::new("loggia.dev", "v1alpha1", "Sync");
        let id = ObjectId {
            group: kind.group.clone(),
            kind: kind.kind.clone(),
            namespace: sync.namespace.clone(),
            name: sync.name.clone(),
        };
        let at = serde_json::json!({"metadata": {"annotations": {"loggia.dev/requested-at": self.now().to_string()}}});
        match self.management.merge(None, &kind, &id, "", &at).await {
            Ok(_) | Err(ClusterError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn sync_object(name: &NamespacedName, spec: crate::domain::intent::sync::SyncSpec) -> Sync {
    let mut sync = Sync::new(&name.name, spec);
    sync.metadata =
        ObjectMeta { name: Some(name.name.clone()), namespace: Some(name.namespace.clone()), ..ObjectMeta::default() };
    sync
}

fn rendered(tree: &FileTree, revision: &PackageRevision) -> Result<Vec<DeclaredObject>, EngineError> {
    crate::domain::package::objects(tree)
        .map_err(|source| EngineError::Render { package: revision.name.to_string(), source })
}
