//! Loggia: a pull-based, git-native GitOps reconciler for KRM packages.
//!
//! # The map
//!
//! | module | what it may do |
//! |---|---|
//! | [`domain`] | decide: pure functions over plain values, no clock, no I/O, no async |
//! | [`ports`] | name what the engine needs from the outside, as traits with plain data |
//! | [`adapters`] | implement the ports; adapters never import each other |
//! | [`cluster`] | the one gateway to Kubernetes APIs |
//! | [`engine`] | one round: gather, plan, gate, propose, publish, apply, record |
//! | [`apiserver`] | the embedded Kubernetes API server |
//! | [`serve`] | metrics and probes over HTTP |
//! | [`telemetry`] | metric names and log setup |
//! | [`config`] | raw settings resolved once, each with its source |
//! | [`app`] | the composition root: the only module that names adapters and engine together |
//! | [`cli`] | arguments, one file per verb, output, exit codes |
//!
//! # Direction
//!
//! `main -> cli -> app, serve, engine, config, domain`; `app -> everything below`; `engine -> ports, cluster,
//! telemetry, domain`; `adapters -> ports, cluster, domain`; `cluster, ports, apiserver, telemetry, config -> domain`;
//! `domain -> nothing`. `tests/architecture.rs` enforces this table.
//!
//! # One round
//!
//! ```text
//! gather -> expand -> choose -> render -> declare -> observe -> plan -> gate -> (propose | publish | apply) -> record
//! -> outcome
//! ```

pub mod adapters;
pub mod apiserver;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod engine;
pub mod ports;
pub mod serve;
pub mod telemetry;
