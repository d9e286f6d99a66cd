//! What runs functions that are not built in: on the machine of the one who asks for it, or where controllers run.

pub use crate::adapters::functions::{Containers, Ending, Generators, ImageRules, Limits, LocalRunner, Pull, serve};
use std::path::Path;
use std::sync::Arc;

use crate::adapters::oci::{Keychain, ModuleStore};
use crate::engine::renders::OtherFunctions;
use crate::ports::function::{FunctionRunner, ModuleSource};

/// What an engine runs that is not built in; by default nothing.
#[derive(Clone, Default)]
pub struct Functions {
    others: OtherFunctions,
    ending: Ending,
}

impl Functions {
    /// What a runner runs; short names of images stand for those behind `prefix`.
    #[must_use]
    pub fn new(local: LocalRunner, prefix: &str) -> Self {
        let ending = local.ending.clone();
        Self { others: OtherFunctions { runner: Some(Arc::new(local)), prefix: prefix.to_owned() }, ending }
    }

    pub(super) fn others(&self) -> OtherFunctions {
        self.others.clone()
    }

    /// Ends what runs; nothing is run from now on.
    pub(super) fn end(&self) {
        self.ending.tell(TERM);
    }
}

/// The signal that asks a process to end.
const TERM: u8 = 15;

/// A runner as it was configured.
#[must_use]
pub fn runner(local: LocalRunner) -> Box<dyn FunctionRunner> {
    Box::new(local)
}

/// WASM modules out of registries, with the user's own sign-ins, kept below `cache`.
#[must_use]
pub fn modules(cache: &Path) -> Arc<dyn ModuleSource> {
    Arc::new(ModuleStore::new(Arc::new(Keychain::of_user()), cache.join("wasm")))
}
