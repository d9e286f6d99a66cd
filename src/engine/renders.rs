//! Rendering packages, and what was rendered already: rendering is a function of the tree and of the functions, so a
//! package whose digest is known is not rendered again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::id::Digest;
use crate::domain::package::external::{Answer, Failure, Request};
use crate::domain::package::functions::PREFIX;
use crate::domain::package::kptfile;
use crate::domain::package::{Catalog, Problem, RenderError, Rendered, render_with, rendering};
use crate::domain::source::FileTree;
use crate::ports::function::FunctionRunner;

/// Most renderings that are kept; the one that was longest not asked for goes.
const KEPT: usize = 1024;
/// Most bytes of packages whose renderings are kept.
const BYTES: usize = 64 << 20;

/// Functions that are not built in.
#[derive(Clone)]
pub struct OtherFunctions {
    /// What runs them; without it, a package that asks for one does not render.
    pub runner: Option<Arc<dyn FunctionRunner>>,
    /// What short names of images stand behind.
    pub prefix: String,
}

/// None is run.
impl Default for OtherFunctions {
    fn default() -> Self {
        Self { runner: None, prefix: PREFIX.to_owned() }
    }
}

impl OtherFunctions {
    fn run(&self, request: &Request) -> Option<Result<Answer, Failure>> {
        self.runner.as_ref()?.answer(request)
    }
}

/// Renders packages; what was rendered is kept by the digest of what went in.
///
/// *Assumptions*: what is not built in answers alike to the same input. It is asked once as long as its answer is kept.
#[derive(Default)]
pub struct Renderer {
    others: OtherFunctions,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    entries: BTreeMap<Digest, Entry>,
    bytes: usize,
    asked: u64,
    made: u64,
}

#[derive(Debug)]
struct Entry {
    rendered: Arc<Rendered>,
    bytes: usize,
    asked: u64,
}

impl Renderer {
    /// With functions that are not built in.
    #[must_use]
    pub fn new(others: OtherFunctions) -> Self {
        Self { others, kept: Mutex::default() }
    }

    /// Renders a package on a thread that may wait for what is not built in; see [`Self::render`].
    ///
    /// # Errors
    /// [`RenderError`].
    pub async fn render_apart(self: &Arc<Self>, tree: FileTree) -> Result<Arc<Rendered>, RenderError> {
        let renderer = self.clone();
        tokio::task::spawn_blocking(move || renderer.render(&tree)).await.unwrap_or_else(|error| {
            let problem = Problem::new("render.ended", kptfile::FILE, 1, format!("rendering ended: {error}"));
            Err(RenderError::Problems { problems: vec![problem] })
        })
    }

    /// Renders a package, or remembers how it was rendered. Failures are not remembered.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn render(&self, tree: &FileTree) -> Result<Arc<Rendered>, RenderError> {
        let digest = rendering::digest(tree);
        if let Some(known) = self.locked().known(&digest) {
            return Ok(known);
        }
        let rendered = render_with(tree, Catalog, &self.others.prefix, &mut |request| self.others.run(request))?;
        let rendered = Arc::new(rendered);
        let bytes = tree.iter().map(|(path, file)| path.len() + file.bytes.len()).sum();
        self.locked().keep(digest, rendered.clone(), bytes);
        Ok(rendered)
    }

    /// How many packages were rendered because they were not known.
    #[must_use]
    pub fn made(&self) -> u64 {
        self.locked().made
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Kept> {
        // What is kept is whole at every moment: a thread that panicked did no harm to it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn known(&mut self, digest: &Digest) -> Option<Arc<Rendered>> {
        self.asked += 1;
        let asked = self.asked;
        let entry = self.entries.get_mut(digest)?;
        entry.asked = asked;
        Some(entry.rendered.clone())
    }

    fn keep(&mut self, digest: Digest, rendered: Arc<Rendered>, bytes: usize) {
        self.made += 1;
        if let Some(old) = self.entries.insert(digest, Entry { rendered, bytes, asked: self.asked }) {
            self.bytes -= old.bytes;
        }
        self.bytes += bytes;
        while self.entries.len() > KEPT || self.bytes > BYTES {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.asked).map(|(digest, _)| digest.clone());
            let Some(gone) = oldest.and_then(|digest| self.entries.remove(&digest)) else { break };
            self.bytes -= gone.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::package::render;
    use crate::domain::source::File;

    fn package(number: usize) -> FileTree {
        let mut tree = FileTree::new();
        let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";
        tree.insert("Kptfile", File::regular(kptfile.as_bytes().to_vec())).unwrap();
        let map = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m{number}\n");
        tree.insert("map.yaml", File::regular(map.into_bytes())).unwrap();
        tree
    }

    #[test]
    fn what_is_known_is_not_rendered_again() {
        let cache = Renderer::default();
        let first = cache.render(&package(1)).unwrap();
        assert_eq!(*first, render(&package(1), &Catalog).unwrap());
        let again = cache.render(&package(1)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        cache.render(&package(2)).unwrap();
        assert_eq!(cache.made(), 2);
    }

    #[test]
    fn failures_are_not_remembered() {
        let cache = Renderer::default();
        for _ in 0..2 {
            assert!(cache.render(&FileTree::new()).is_err());
        }
        assert_eq!((cache.made(), cache.locked().entries.len()), (0, 0));
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_the_oldest_goes() {
        let cache = Renderer::default();
        for number in 0..=KEPT {
            cache.render(&package(number)).unwrap();
            cache.render(&package(0)).unwrap();
        }
        let made = cache.made();
        assert_eq!(cache.locked().entries.len(), KEPT);
        cache.render(&package(0)).unwrap();
        assert_eq!(cache.made(), made, "what was asked for last is kept");
        cache.render(&package(1)).unwrap();
        assert_eq!(cache.made(), made + 1, "what was longest not asked for is gone");
    }
}
