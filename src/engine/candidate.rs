//! From an intent to the content of a package revision. The controller commits it as a draft, `loggia diff` plans it as
//! it is: both get it from here.

use std::sync::Arc;

use super::agenda::Agenda;
use super::gather::{World, holds_intents, location};
use super::{Engine, EngineError};
use crate::domain::id::RepositoryName;
use crate::domain::intent::expand::{Blueprint, ExpandContext, Follow};
use crate::domain::intent::{Demand, Repository};
use crate::domain::package::artifact::SCHEME;
use crate::domain::package::derive::{Derivation, derive, derived_with, identify, setters};
use crate::domain::package::kptfile::{FILE, Kptfile, Upstream};
use crate::domain::package::upgrade::{OnConflict, Strategy, Trees, upgrade};
use crate::domain::package::{RenderError, Rendered};
use crate::domain::revision::refs;
use crate::domain::source::FileTree;
use crate::ports::repositories::Location;
use crate::ports::revisions::{PackageRevision, PackageStore, RevisionError};

/// Annotation or recorded upstream: which published revision of a blueprint is used.
fn upstream_number(reference: &str) -> Option<i64> {
    refs::number(reference.rsplit('/').next().unwrap_or(reference))
}

/// What a demand comes to.
pub struct Candidate {
    /// The package.
    pub rendered: Arc<Rendered>,
    /// What the person who asked for it should know: settings that do nothing.
    pub remarks: Vec<String>,
    /// What both the intent or its blueprint and a person changed, each in its own way.
    pub conflicts: Vec<String>,
}

/// A deployment's package as it is.
#[derive(Debug, Clone, Default)]
pub struct Existing {
    /// As it is published.
    pub published: Option<FileTree>,
    /// As it is drafted or proposed.
    pub drafted: Option<FileTree>,
}

impl Existing {
    /// Reads the package; drafts that take a failure back are no wish of the intent.
    ///
    /// # Errors
    /// [`RevisionError`] when it cannot be read.
    pub async fn read(store: &dyn PackageStore, agenda: &Agenda) -> Result<Self, RevisionError> {
        let published = match &agenda.published {
            Some(revision) => Some(store.content(revision).await?),
            None => None,
        };
        let drafted = match agenda.candidate.as_ref().filter(|draft| !draft.workspace.as_str().starts_with("revert-")) {
            Some(revision) => Some(store.content(revision).await?),
            None => None,
        };
        Ok(Self { published, drafted })
    }
}

impl Engine {
    /// What expanding needs to know: blueprints with a published revision, and where deployments go.
    ///
    /// # Errors
    /// [`EngineError::Reference`] when the namespace has no repository of deployments.
    pub async fn expand_context(
        &self,
        who: &str,
        world: &World,
        namespace: &str,
    ) -> Result<ExpandContext, EngineError> {
        let mut blueprints = Vec::new();
        let mut deployments = None;
        let mut unreadable = Vec::new();
        for (key, object) in world.repositories.iter().filter(|(key, _)| key.namespace == namespace) {
            let name = RepositoryName::new(key.name.clone())?;
            if object.spec.deployment {
                // One that cannot be one is told by its own conditions, and stands in no other's way.
                deployments = deployments.or_else(|| location(object).is_ok().then_some(name));
                continue;
            }
            if holds_intents(object) {
                continue;
            }
            match self.listed(object).await {
                Ok(found) => {
                    let latest = found.into_iter().filter(|r| r.latest);
                    blueprints.extend(latest.map(|r| Blueprint { repository: name.clone(), package: r.package }));
                }
                // Others may have what is looked for.
                Err(error) => unreadable.push(format!("{name}: {error}")),
            }
        }
        let missing = || EngineError::Reference {
            what: who.to_owned(),
            kind: "Repository with spec.deployment: true in namespace",
            name: namespace.to_owned(),
        };
        Ok(ExpandContext { blueprints, deployments: deployments.ok_or_else(missing)?, unreadable })
    }

    async fn listed(&self, repository: &Repository) -> Result<Vec<PackageRevision>, EngineError> {
        Ok(self.repositories.packages(&location(repository)?)?.list().await?)
    }

    /// Renders what a demand asks for. A package that exists keeps the revision of the blueprint it was made from,
    /// unless the demand names another, and keeps what people changed in it.
    ///
    /// # Errors
    /// [`EngineError::Render`] naming the blueprint, [`EngineError::Upgrade`] when changes cannot be kept;
    /// [`EngineError`] when a repository cannot be read.
    pub async fn candidate(
        &self,
        who: &str,
        world: &World,
        namespace: &str,
        demand: &Demand,
        existing: &Existing,
    ) -> Result<Candidate, EngineError> {
        let location = world.location(who, namespace, demand.blueprint.repository.as_str())?;
        let store = self.repositories.packages(&location)?;
        let source = Source { location: &location, store: store.as_ref(), revisions: store.list().await?, demand };
        let found = source.choose(existing.published.as_ref())?;
        let tree = source.store.content(found).await?;
        let derivation = Derivation {
            name: demand.package.leaf().to_owned(),
            upstream: upstream(&location, found),
            params: demand.params.clone(),
            namespace: demand.namespace.clone(),
            labels: demand.labels.clone(),
        };
        let derived = self.derived(demand, &tree, &derivation).await?;
        let local = existing.drafted.as_ref().or(existing.published.as_ref());
        let (rendered, conflicts) = match local {
            Some(local) => self.keep_changes(&source, local, &derivation, derived).await?,
            None => (derived, Vec::new()),
        };
        Ok(Candidate { rendered, remarks: unused(&tree, &derivation.upstream.reference, demand), conflicts })
    }

    async fn derived(
        &self,
        demand: &Demand,
        blueprint: &FileTree,
        derivation: &Derivation,
    ) -> Result<Arc<Rendered>, EngineError> {
        let tree = derive(blueprint, derivation).map_err(|source| failed(demand, source))?;
        self.renderer.render_apart(tree).await.map_err(|source| failed(demand, source))
    }

    /// Brings what people changed in a package since it was derived to what is derived now: a three-way merge whose
    /// origin is the package derived as it says that it was.
    async fn keep_changes(
        &self,
        source: &Source<'_>,
        local: &FileTree,
        derivation: &Derivation,
        derived: Arc<Rendered>,
    ) -> Result<(Arc<Rendered>, Vec<String>), EngineError> {
        let demand = source.demand;
        if *local == derived.tree {
            return Ok((derived, Vec::new()));
        }
        let before = derived_with(local).map_err(|source| failed(demand, source))?;
        let pin = pinned(local, demand);
        let (Some(before), Some(pin)) = (before, pin) else { return Ok((derived, Vec::new())) };
        let blueprint = source.store.content(source.pinned(&pin)?).await?;
        let origin = self.derived(demand, &blueprint, &before).await?;
        if origin.tree == *local {
            return Ok((derived, Vec::new()));
        }
        let trees = Trees { origin: &origin.tree, updated: &derived.tree, local };
        let upgraded = upgrade(&trees, Strategy::ResourceMerge, OnConflict::Upstream);
        let mut upgraded = upgraded.map_err(|source| EngineError::Upgrade {
            package: demand.package.to_string(),
            to: derivation.upstream.reference.clone(),
            source,
        })?;
        identify(&mut upgraded.tree, derivation).map_err(|source| failed(demand, source))?;
        let conflicts = upgraded.conflicts.iter().take(SHOWN).map(ToString::to_string).collect();
        let rendered = self.renderer.render_apart(upgraded.tree).await;
        Ok((rendered.map_err(|source| failed(demand, source))?, conflicts))
    }
}

/// Most conflicts that are told.
const SHOWN: usize = 20;

fn failed(demand: &Demand, source: RenderError) -> EngineError {
    EngineError::Render { package: demand.blueprint.package.to_string(), source }
}

/// Where the blueprint of a demand is.
struct Source<'a> {
    location: &'a Location,
    store: &'a dyn PackageStore,
    revisions: Vec<PackageRevision>,
    demand: &'a Demand,
}

impl Source<'_> {
    /// The revision to derive from.
    fn choose(&self, published: Option<&FileTree>) -> Result<&PackageRevision, RevisionError> {
        let pin = published.and_then(|tree| pinned(tree, self.demand));
        match (self.demand.follow, pin) {
            (Follow::Same, Some(pin)) => self.pinned(&pin),
            (Follow::Number(number), pin) => match pin.filter(|pin| pin.number == number) {
                Some(pin) => self.pinned(&pin),
                None => self.numbered(number).ok_or_else(|| self.missing(&format!("v{number} of "))),
            },
            (Follow::Latest, Some(pin)) => {
                let newest = self.newest()?;
                if newest.revision == pin.number { self.pinned(&pin) } else { Ok(newest) }
            }
            (Follow::Latest | Follow::Same, None) => self.newest(),
        }
    }

    fn missing(&self, which: &str) -> RevisionError {
        let Blueprint { package, repository } = &self.demand.blueprint;
        RevisionError::NotFound(format!("{which}{package} of {repository}"))
    }

    fn numbered(&self, number: i64) -> Option<&PackageRevision> {
        self.revisions.iter().find(|r| r.package == self.demand.blueprint.package && r.revision == number)
    }

    fn newest(&self) -> Result<&PackageRevision, RevisionError> {
        let mine = self.revisions.iter().filter(|r| r.package == self.demand.blueprint.package && r.revision > 0);
        mine.max_by_key(|r| r.revision).ok_or_else(|| self.missing(""))
    }

    /// The revision that a package was made from, which has to be there, as it was.
    fn pinned(&self, pin: &Pin) -> Result<&PackageRevision, RevisionError> {
        let gone = || RevisionError::BlueprintGone {
            name: format!("v{} of {}", pin.number, self.demand.blueprint.package),
            repository: self.demand.blueprint.repository.clone(),
        };
        let found = self.numbered(pin.number).ok_or_else(gone)?;
        let now = upstream(self.location, found);
        let moved = now.repo == pin.upstream.repo && now.commit != pin.upstream.commit;
        if self.location.is_registry() && moved {
            return Err(RevisionError::ArtifactMoved {
                image: format!("{}:{}", now.repo.trim_start_matches(SCHEME), now.reference),
                was: pin.upstream.commit.clone(),
                now: now.commit,
            });
        }
        Ok(found)
    }
}

/// What `configuration` names and no setter of the blueprint takes.
fn unused(blueprint: &FileTree, which: &str, demand: &Demand) -> Vec<String> {
    let known = setters(blueprint);
    let remark = |name: &String| {
        if !known.contains(name) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            Some(format!("{which} has no setter for it; it has {}", known.join(", ")))
        } else if !demand.params.contains_key(name) {
            Some("a setter takes text, a number, a boolean or a list".to_owned())
        } else {
            None
        }
    };
    let told = |name: &String| Some(format!("spec.configuration.{name} is not used: {}", remark(name)?));
    demand.named.iter().filter_map(told).collect()
}

/// Where a package that is made from a revision says that it comes from.
fn upstream(location: &Location, found: &PackageRevision) -> Upstream {
    let commit = location.locked(found);
    if location.is_registry() {
        let repo = format!("{}/{}", location.url, found.package);
        return Upstream { repo, directory: String::new(), reference: format!("v{}", found.revision), commit };
    }
    Upstream {
        repo: location.url.clone(),
        directory: refs::path(&location.directory, &found.package),
        reference: format!("{}/v{}", found.package, found.revision),
        commit,
    }
}

/// The revision of its blueprint that a package was made from.
struct Pin {
    number: i64,
    upstream: Upstream,
}

/// Nothing is pinned when the package was made from another blueprint.
fn pinned(existing: &FileTree, demand: &Demand) -> Option<Pin> {
    let upstream = Kptfile::parse(FILE, &existing.get(FILE)?.bytes).ok()?.upstream?;
    let place = if upstream.repo.starts_with(SCHEME) { &upstream.repo } else { &upstream.directory };
    let blueprint = demand.blueprint.package.as_str();
    let same = place.trim_end_matches('/') == blueprint || place.ends_with(&format!("/{blueprint}"));
    let number = upstream_number(&upstream.reference).filter(|_| same)?;
    Some(Pin { number, upstream })
}
