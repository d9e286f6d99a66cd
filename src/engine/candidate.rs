//! From an intent to the content of a package revision. The controller commits it as a draft, `loggia diff` plans it as
//! it is: both get it from here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::gather::World;
use super::{Engine, EngineError};
use crate::domain::id::RepositoryName;
use crate::domain::intent::expand::{Blueprint, ExpandContext};
use crate::domain::intent::{Demand, repository};
use crate::domain::package::derive::{Derivation, derive, setters};
use crate::domain::package::kptfile::{FILE, Kptfile, Upstream};
use crate::domain::package::Rendered;
use crate::domain::source::FileTree;
use crate::ports::revisions::{PackageRevision, RevisionError};

/// Annotation or recorded upstream: which published revision of a blueprint is used.
fn upstream_number(reference: &str) -> Option<i64> {
    crate::domain::revision::refs::number(reference.rsplit('/').next().unwrap_or(reference))
}

/// What a demand comes to.
pub struct Candidate {
    /// The package.
    pub rendered: Arc<Rendered>,
    /// What the person who asked for it should know: settings that do nothing.
    pub remarks: Vec<String>,
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
        for (key, object) in world.repositories.iter().filter(|(key, _)| key.namespace == namespace) {
            let name = RepositoryName::new(key.name.clone())?;
            if object.spec.deployment {
                deployments = deployments.or(Some(name));
                continue;
            }
            let content = object.metadata.annotations.as_ref().and_then(|a| a.get(repository::CONTENT));
            if content.is_some_and(|content| content == "intents") {
                continue;
            }
            let location = super::gather::location(object)?;
            let latest = self.repositories.packages(&location)?.list().await?.into_iter().filter(|r| r.latest);
            blueprints.extend(latest.map(|r| Blueprint { repository: name.clone(), package: r.package }));
        }
        let missing = || EngineError::Reference {
            what: who.to_owned(),
            kind: "Repository with spec.deployment: true in namespace",
            name: namespace.to_owned(),
        };
        Ok(ExpandContext { blueprints, deployments: deployments.ok_or_else(missing)? })
    }

    /// Renders what a demand asks for. A package that exists keeps the revision of the blueprint it was made from.
    ///
    /// # Errors
    /// [`EngineError::Render`] naming the blueprint; [`EngineError`] when a repository cannot be read.
    pub async fn candidate(
        &self,
        who: &str,
        world: &World,
        namespace: &str,
        demand: &Demand,
        existing: Option<&FileTree>,
    ) -> Result<Candidate, EngineError> {
        let location = world.location(who, namespace, demand.blueprint.repository.as_str())?;
        let store = self.repositories.packages(&location)?;
        let revisions = store.list().await?;
        let pinned = existing.and_then(pinned);
        let found = pick(&revisions, demand, pinned).ok_or_else(|| {
            RevisionError::NotFound(format!("{} of {}", demand.blueprint.package, demand.blueprint.repository))
        })?;
        let tree = store.content(found).await?;
        let derivation = Derivation {
            name: demand.package.leaf().to_owned(),
            upstream: Upstream {
                repo: location.url.clone(),
                directory: crate::domain::revision::refs::path(&location.directory, &found.package),
                reference: format!("{}/v{}", found.package, found.revision),
                commit: found.commit.to_string(),
            },
            params: demand.params.clone(),
            namespace: demand.namespace.clone(),
            labels: demand.labels.clone(),
        };
        let failed = |source| EngineError::Render { package: demand.blueprint.package.to_string(), source };
        let derived = derive(&tree, &derivation).map_err(failed)?;
        let rendered = self.renders.render(&derived, self.catalog).map_err(failed)?;
        Ok(Candidate { rendered, remarks: unused(&tree, &derivation.upstream.reference, demand) })
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

fn pinned(existing: &FileTree) -> Option<i64> {
    let kptfile = Kptfile::parse(FILE, &existing.get(FILE)?.bytes).ok()?;
    upstream_number(&kptfile.upstream?.reference)
}

fn pick<'r>(revisions: &'r [PackageRevision], demand: &Demand, pinned: Option<i64>) -> Option<&'r PackageRevision> {
    let published: BTreeMap<i64, &PackageRevision> = revisions
        .iter()
        .filter(|r| r.package == demand.blueprint.package && r.revision > 0)
        .map(|r| (r.revision, r))
        .collect();
    pinned.and_then(|number| published.get(&number)).or_else(|| published.values().next_back()).copied()
}
