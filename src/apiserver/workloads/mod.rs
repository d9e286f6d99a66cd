//! Simulated workloads: what a controller manager, a scheduler and a kubelet do to objects, without running anything.
//!
//! Each controller is a pure step from an object, what it owns and the time to writes; [`run`] drives them all from the
//! changes of a store. Statuses, conditions and reasons are those of Kubernetes v1.36. What a container does is told by
//! its image's tag, see [`pod`].

pub mod daemon_set;
pub mod deployment;
mod driver;
mod event;
pub mod job;
mod parts;
pub mod pod;
mod progress;
pub mod replica_set;
pub mod service;
pub mod stateful_set;
pub mod view;
pub mod write;
mod writer;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::driver::Controller;
use self::driver::Driver;
use self::view::{View, controller};
use self::write::{Steps, Write};
use self::writer::Writer;
use crate::apiserver::core::Core;
use crate::apiserver::kinds::Resource;
use crate::apiserver::store::Change;

/// How slow the simulated machines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// From the creation of a pod to its containers' start (or failure). Default: none.
    pub start: SignedDuration,
}

/// The controllers of workloads and the kubelet.
struct Workloads {
    latency: Latency,
}

/// Runs the simulated workloads of a server until `stop`. The server's clock is asked at every step; waits are tokio's,
/// so a paused clock works if the server's follows it.
///
/// # Flow
/// A change names the objects that it concerns; each gets one step; its writes are changes again.
///
/// # Guarantees
/// A step sees all that was committed before it. Nothing is written when nothing changed.
pub async fn run(core: Arc<Core>, latency: Latency, stop: CancellationToken) {
    let writer = Writer::new(core, MANAGER);
    let node = pod::node(writer.core.now());
    for write in [Write::Create(node.clone()), Write::Status(node)] {
        // It exists already after a restart; a failing disk fails the next write as well.
        let _known = writer.write(write);
    }
    Driver::new(Workloads { latency }, writer).run(stop).await;
}

/// Field manager of all controllers.
const MANAGER: &str = "kube-controller-manager";

/// Drives a controller of another module until `stop`.
pub(crate) async fn drive<C: Controller>(controller: C, core: Arc<Core>, stop: CancellationToken) {
    Driver::new(controller, Writer::new(core, MANAGER)).run(stop).await;
}

impl Controller for Workloads {
    fn concerns(&self, change: &Change, view: &View) -> Vec<String> {
        let objects = [Some(&change.object), change.previous.as_ref()];
        let objects = || objects.into_iter().flatten();
        let own = objects().map(|object| parts::uid(object).to_owned());
        let controllers = objects().filter_map(|object| controller(object).map(str::to_owned));
        let mut concerned: Vec<String> = own.chain(controllers).collect();
        if change.key.resource == Resource::new("", "pods") {
            let services = objects().flat_map(|pod| view.selectors(&change.key, pod));
            concerned.extend(services.map(|service| parts::uid(service).to_owned()));
        }
        concerned
    }

    fn step(&self, uid: &str, view: &View, now: Timestamp) -> Steps {
        let Some(seen) = view.get(uid) else { return Steps::default() };
        let object = seen.object.as_ref();
        let pods = || view.controlled(uid, "Pod").collect::<Vec<_>>();
        match (seen.key.resource.group.as_str(), seen.key.resource.plural.as_str()) {
            ("apps", "deployments") => {
                deployment::step(object, &view.controlled(uid, "ReplicaSet").collect::<Vec<_>>(), now)
            }
            ("apps", "replicasets") => replica_set::step(object, &pods(), now),
            ("apps", "statefulsets") => stateful_set::step(object, &pods(), now),
            ("apps", "daemonsets") => daemon_set::step(object, &pods(), now),
            ("batch", "jobs") => job::step(object, &pods(), now),
            ("", "pods") => pod::step(object, &self.latency, now),
            ("", "services") => endpoints(seen, view).into(),
            ("", "persistentvolumeclaims") => service::claim(object).into(),
            _ => Steps::default(),
        }
    }
}

fn endpoints(service: &view::Seen, view: &View) -> Vec<Write> {
    let uid = parts::uid(&service.object);
    let known: Vec<&Value> =
        ["Endpoints", "EndpointSlice"].iter().flat_map(|kind| view.controlled(uid, kind)).collect();
    service::step(&service.object, &view.candidates(service), &known)
}

#[cfg(test)]
mod kubectl;
#[cfg(test)]
mod tests;
