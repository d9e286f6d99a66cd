//! What runs functions that are not built in, on the machine of the one who asks for it. Controllers run none.

pub use crate::adapters::functions::{Containers, Ending, Generators, ImageRules, Limits, LocalRunner, Pull, serve};
use std::path::Path;
use std::sync::Arc;

use crate::adapters::oci::{Keychain, ModuleStore};
use crate::ports::function::{FunctionRunner, ModuleSource};

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
