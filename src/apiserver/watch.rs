//! Watching: a stream of JSON lines, each an event.
//!
//! Source: "Efficient detection of changes" and "Streaming lists" of the Kubernetes API concepts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::apiserver::convert;
use crate::apiserver::core::Core;
use crate::apiserver::kinds::Kind;
use crate::apiserver::lines::Shown;
use crate::apiserver::list::Selection;
use crate::apiserver::metadata;
use crate::apiserver::request::Query;
use crate::apiserver::route::Target;
use crate::apiserver::status::{ApiError, Cause};
use crate::apiserver::store::{Change, ChangeKind, Changes, revision_of};
use crate::apiserver::view::View;

/// How often a client that allows bookmarks gets one, at least.
const BOOKMARK_EVERY: Duration = Duration::from_mins(1);
/// How long a watch lasts that says nothing about it.
const LONGEST: Duration = Duration::from_hours(1);

/// Most changes that a watch holds while its client does not read; the others stay in the history of the store.
const HELD: usize = 64;

/// What is still to be told.
enum Pending {
    /// An object that was there when the watch began.
    There(Arc<Value>),
    /// All that was there has been told.
    End,
    /// A change since.
    Changed(Arc<Change>),
}

/// An open watch. It encodes an event when its client is about to read it.
struct Watch {
    core: Arc<Core>,
    kind: Arc<Kind>,
    namespace: Option<String>,
    selection: Selection,
    view: View,
    changes: Changes,
    pending: VecDeque<Pending>,
    ready: VecDeque<Bytes>,
    bookmarks: Option<Interval>,
    deadline: Instant,
    closing: CancellationToken,
    over: bool,
}

/// Opens a watch: the lines of its events. It ends at its deadline, when it comes too late, or when the server closes.
///
/// # Errors
/// 400 for parameters that cannot be read, 422 for those that do not go together, 500 for a revision that is no number,
/// 504 for a list from the future.
pub(super) fn watch(
    core: &Arc<Core>,
    target: &Target,
    query: &Query,
    view: View,
    closing: CancellationToken,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, ApiError> {
    check(query)?;
    let selection = Selection::of(target, query)?;
    let asked = query.revision()?;
    let current = core.store().revision();
    let streams_list = query.flag("sendInitialEvents");
    // A watch from the future waits for it; a list of the future is none.
    if asked > current && streams_list {
        return Err(ApiError::too_new(asked, current));
    }
    let allowed = query.flag("allowWatchBookmarks");
    let now = Instant::now();
    let mut watch = Watch {
        core: Arc::clone(core),
        kind: Arc::clone(&target.kind),
        namespace: target.namespace.clone(),
        selection,
        view,
        changes: core.store().changes(Some(target.kind.stored_as.clone()), if asked == 0 { current } else { asked }),
        pending: VecDeque::new(),
        ready: VecDeque::new(),
        bookmarks: allowed.then(|| bookmarks(now)),
        deadline: now + query.timeout()?.unwrap_or(LONGEST).min(LONGEST),
        closing,
        over: false,
    };
    if streams_list || (asked == 0 && query.text("sendInitialEvents").is_none()) {
        watch.begin_with_what_is_there(streams_list && allowed);
    }
    Ok(stream::unfold(watch, Watch::next))
}

fn check(query: &Query) -> Result<(), ApiError> {
    const ONLY: &str = "NotOlderThan";
    let (streams, wanted) = (query.text("sendInitialEvents").is_some(), query.text("resourceVersionMatch"));
    let mut causes = Vec::new();
    let mut forbid = |refused: bool, detail: &str| {
        causes.extend(refused.then(|| Cause::forbidden("resourceVersionMatch", detail)));
    };
    let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    forbid(streams && wanted != Some(ONLY), detail);
    let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
    forbid(!streams && wanted.is_some(), detail);
    if let Some(wanted) = wanted.filter(|&wanted| wanted != ONLY) {
        causes.push(Cause::not_supported("resourceVersionMatch", &json!(wanted), &[format!("{ONLY:?}")]));
    }
    if wanted.is_some() && query.text("continue").is_some() {
        let detail = "resourceVersionMatch is forbidden when continue is provided";
        causes.push(Cause::forbidden("resourceVersionMatch", detail));
    }
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid_options("ListOptions", causes)) }
}

fn bookmarks(now: Instant) -> Interval {
    let mut interval = interval_at(now + BOOKMARK_EVERY, BOOKMARK_EVERY);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}

impl Watch {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((line, self));
            }
            if self.over {
                return None;
            }
            match self.pending.pop_front() {
                Some(Pending::There(object)) => self.send("ADDED", &object),
                Some(Pending::End) => self.bookmark(true),
                Some(Pending::Changed(change)) => self.tell(&change),
                None => self.wait().await,
            }
        }
    }

    async fn wait(&mut self) {
        let bookmark = async {
            match &mut self.bookmarks {
                Some(interval) => drop(interval.tick().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.closing.cancelled() => self.over = true,
            changes = self.changes.next_few(HELD) => match changes {
                Ok(changes) => self.pending.extend(changes.into_iter().map(Pending::Changed)),
                Err(error) => self.fail(&ApiError::from_store(error, &self.kind.resource(), "")),
            },
            () = sleep_until(self.deadline) => self.over = true,
            () = bookmark => self.bookmark(false),
        }
    }

    fn begin_with_what_is_there(&mut self, marks_end: bool) {
        let resource = self.kind.stored_as.clone();
        let snapshot = self.core.store().list(&resource, self.namespace.as_deref());
        self.changes = self.core.store().changes(Some(resource), snapshot.revision);
        let there = snapshot.objects.into_iter().filter(|object| self.selection.takes(object));
        self.pending.extend(there.map(Pending::There));
        self.pending.extend(marks_end.then_some(Pending::End));
    }

    /// The event that a client with these selectors sees: an object that comes into sight is new, one that leaves it is
    /// gone.
    fn tell(&mut self, change: &Change) {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != change.key.namespace) {
            return;
        }
        let before = change.previous.as_deref().is_some_and(|object| self.selection.takes(object));
        let after = change.kind != ChangeKind::Deleted && self.selection.takes(&change.object);
        match (before, after) {
            (false, true) => self.send("ADDED", &change.object),
            (true, true) => self.send("MODIFIED", &change.object),
            (true, false) => {
                let mut last = change.previous.as_deref().unwrap_or(&change.object).clone();
                metadata::set(&mut last, "resourceVersion", Value::String(change.revision.to_string()));
                self.send("DELETED", &last);
            }
            (false, false) => {}
        }
    }

    /// Sends an event as the kind is now: its definition may have changed since the watch began.
    fn send(&mut self, kind: &'static str, object: &Value) {
        let gvk = &self.kind.gvk;
        if let Some(now) = self.core.kinds().find(&gvk.group, &gvk.version, &self.kind.plural).cloned() {
            self.kind = now;
        }
        let shared = self.view.shared();
        let (core, view, of) = (&self.core, &mut self.view, &self.kind);
        let mut encode = || line(kind, &view.event(of, &convert::shown(of, object), core.now()));
        let line = match shared {
            Some(form) => {
                let shown = Shown { revision: revision_of(object), event: kind, kind: Arc::clone(of), form };
                core.lines().line(&shown, encode)
            }
            None => encode(),
        };
        self.ready.push_back(line);
    }

    fn push(&mut self, kind: &'static str, object: &Value) {
        self.ready.push_back(line(kind, object));
    }

    fn bookmark(&mut self, ends_list: bool) {
        let version = self.changes.seen().to_string();
        let mut object = json!({
            "kind": self.kind.gvk.kind, "apiVersion": self.kind.gvk.api_version(),
            "metadata": {"resourceVersion": version, "creationTimestamp": null},
        });
        if ends_list {
            object["metadata"]["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = self.view.bookmark(object);
        self.push("BOOKMARK", &object);
    }

    fn fail(&mut self, error: &ApiError) {
        self.push("ERROR", &error.to_json());
        self.over = true;
    }
}
