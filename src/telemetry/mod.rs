//! What is counted, and how logs look.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

/// Everything that is counted; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Rounds by controller and outcome (`settled`, `waiting`, `blocked`, or an error class).
    pub rounds: IntCounterVec,
    /// Steps carried out, by action.
    pub steps: IntCounterVec,
    /// Rollbacks.
    pub rollbacks: IntCounterVec,
    /// 1 while this process holds the lease.
    pub leader: IntGauge,
}

impl Metrics {
    /// Metrics on a registry of their own.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a name is used twice, which would be our own defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str, labels: &[&str]| -> Result<IntCounterVec, prometheus::Error> {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let rounds =
            counter("loggia_reconcile_total", "Rounds by controller and outcome.", &["controller", "outcome"])?;
        let steps = counter("loggia_apply_steps_total", "Steps carried out by action.", &["action"])?;
        let rollbacks = counter("loggia_rollbacks_total", "Rollbacks by sync.", &["sync"])?;
        let leader = IntGauge::new("loggia_leader", "1 while this process holds the lease.")?;
        registry.register(Box::new(leader.clone()))?;
        Ok(Self { registry, rounds, steps, rollbacks, leader })
    }

    /// All metrics in the text format.
    #[must_use]
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Sends logs to standard error, as plain lines. `RUST_LOG` decides what; `default` when it is not set.
pub fn init_logs(default: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // A second call, as in tests, changes nothing.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}
