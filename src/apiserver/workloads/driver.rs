//! The loop around a controller: changes in, steps, writes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use super::view::View;
use super::write::Steps;
use super::writer::Writer;
use crate::apiserver::status::ApiError;
use crate::apiserver::store::{Change, Key};

/// Steps between two moments in which other tasks may run.
const BREATH: usize = 64;

/// How long a controller waits after the disk failed, in seconds.
const PAUSE: i64 = 1;

/// A controller without its loop: which objects a change concerns, and what to do about one of them.
pub(crate) trait Controller: Send + 'static {
    /// The uids that must be looked at after a change; the view holds it already.
    fn concerns(&self, change: &Change, view: &View) -> Vec<String>;

    /// What to do about one object.
    fn step(&self, uid: &str, view: &View, now: Timestamp) -> Steps;
}

/// A controller at work.
pub(crate) struct Driver<C> {
    controller: C,
    writer: Writer,
    view: View,
    seen: u64,
    due: BTreeSet<String>,
    timers: Timers,
}

/// When to look at which object again, one instant for each.
#[derive(Debug, Default)]
struct Timers {
    at: BTreeMap<String, Timestamp>,
    order: BTreeSet<(Timestamp, String)>,
}

impl Timers {
    fn set(&mut self, uid: &str, at: Option<Timestamp>) {
        if let Some(before) = self.at.remove(uid) {
            self.order.remove(&(before, uid.to_owned()));
        }
        if let Some(at) = at {
            self.at.insert(uid.to_owned(), at);
            self.order.insert((at, uid.to_owned()));
        }
    }

    fn pop(&mut self, now: Timestamp) -> Option<String> {
        let due = self.order.first().filter(|(at, _)| *at <= now)?.1.clone();
        self.set(&due, None);
        Some(due)
    }

    fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }
}

impl<C: Controller> Driver<C> {
    pub(crate) fn new(controller: C, writer: Writer) -> Self {
        let (due, timers) = (BTreeSet::new(), Timers::default());
        Self { controller, writer, view: View::default(), seen: 0, due, timers }
    }

    /// Runs until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        self.look_at_everything();
        while !stop.is_cancelled() {
            self.settle(&stop).await;
            let mut changes = self.writer.core.store().changes(None, self.seen);
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = changes.next() => {}
                () = tokio::time::sleep(self.pause()) => {}
            }
        }
    }

    /// Steps until nothing is due, or until `stop`.
    async fn settle(&mut self, stop: &CancellationToken) {
        let mut count = 0;
        self.absorb();
        while let Some(uid) = self.due.pop_first() {
            if stop.is_cancelled() {
                return;
            }
            self.step(&uid, stop);
            self.absorb();
            count += 1;
            if count % BREATH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn step(&mut self, uid: &str, stop: &CancellationToken) {
        let now = self.writer.core.now();
        let Steps { writes, mut again } = self.controller.step(uid, &self.view, now);
        // A step may make thousands of pods.
        for write in writes.into_iter().take_while(|_| !stop.is_cancelled()) {
            // Other refusals are for good, or are followed by a change.
            if self.writer.write(write).is_err_and(|error| is_failure(&error)) {
                again = Some(super::parts::plus(now, PAUSE));
                break;
            }
        }
        self.timers.set(uid, again);
    }

    /// Takes in what changed and what time has come for.
    fn absorb(&mut self) {
        match self.writer.core.store().since(None, self.seen) {
            Ok((changes, seen)) => {
                self.seen = seen;
                for change in &changes {
                    self.take(change);
                }
            }
            Err(_) => self.look_at_everything(),
        }
        let now = self.writer.core.now();
        while let Some(uid) = self.timers.pop(now) {
            self.due.insert(uid);
        }
    }

    fn take(&mut self, change: &Change) {
        self.view.absorb(change);
        self.due.extend(self.controller.concerns(change, &self.view));
    }

    /// Begins anew: the history does not reach back, or nothing was seen yet. Changes during the listing are seen
    /// again.
    fn look_at_everything(&mut self) {
        let store = self.writer.core.store();
        self.seen = store.revision();
        self.view = View::default();
        for resource in store.resources() {
            for object in store.list(&resource, None).objects {
                let key = Key::new(&resource, super::parts::namespace(&object), super::parts::name(&object));
                self.view.insert(&key, &object);
            }
        }
        self.due.extend(self.view.uids().cloned());
    }

    /// How long until the next timer; an hour when there is none.
    fn pause(&self) -> Duration {
        let now = self.writer.core.now();
        let next = self.timers.next().map(|at| at.duration_since(now));
        let wait = next.and_then(|wait| Duration::try_from(wait).ok()).unwrap_or(Duration::from_hours(1));
        wait.max(Duration::from_millis(1))
    }
}

/// Whether the server itself failed, so that the same write may succeed later.
fn is_failure(error: &ApiError) -> bool {
    error.code >= 500
}

/// A controller that only tests run: everything settles before the next line.
#[cfg(test)]
impl<C: Controller> Driver<C> {
    pub(crate) async fn settled(&mut self) {
        if self.seen == 0 {
            self.look_at_everything();
        }
        self.settle(&CancellationToken::new()).await;
    }
}
