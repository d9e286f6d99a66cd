//! One file per verb, or per pair of verbs that differ in one word.

mod apiserver;
mod apply;
mod controller;
mod decide;
mod demo;
mod functions;
mod get;
mod history;
mod hold;
mod local;
mod pkg;
mod plan;
mod rollback;
mod status;
mod up;
mod watch;

pub(super) use apiserver::apiserver;
pub(super) use apply::apply;
pub(super) use controller::{config, controller};
pub(super) use decide::{approve, reject};
pub(super) use demo::demo;
pub(super) use functions::function;
pub(super) use get::get;
pub(super) use history::history;
pub(super) use hold::{hold, resume, suspend};
pub(super) use local::{completions, kubernetes_schema, render, schema, validate, version};
pub(super) use pkg::pkg;
pub(super) use plan::{diff, plan};
pub(super) use rollback::rollback;
pub(super) use status::status;
pub(super) use up::up;
