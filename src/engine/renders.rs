//! Packages that were rendered already: rendering is a function of the tree and of the built-in functions, so one whose
//! digest is known is not run again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::id::Digest;
use crate::domain::package::{Catalog, RenderError, Rendered, render, rendering};
use crate::domain::source::FileTree;

/// Most renderings that are kept; the one that was longest not asked for goes.
const KEPT: usize = 1024;
/// Most bytes of packages whose renderings are kept.
const BYTES: usize = 64 << 20;

/// What was rendered, by the digest of what went in.
#[derive(Debug, Default)]
pub struct RenderCache {
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

impl RenderCache {
    /// Renders a package, or remembers how it was rendered. Failures are not remembered.
    ///
    /// # Errors
    /// [`RenderError`].
    pub fn render(&self, tree: &FileTree, catalog: Catalog) -> Result<Arc<Rendered>, RenderError> {
        let digest = rendering::digest(tree);
        if let Some(known) = self.locked().known(&digest) {
            return Ok(known);
        }
        let rendered = Arc::new(render(tree, &catalog)?);
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
        let cache = RenderCache::default();
        let first = cache.render(&package(1), Catalog).unwrap();
        assert_eq!(*first, render(&package(1), &Catalog).unwrap());
        let again = cache.render(&package(1), Catalog).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        cache.render(&package(2), Catalog).unwrap();
        assert_eq!(cache.made(), 2);
    }

    #[test]
    fn failures_are_not_remembered() {
        let cache = RenderCache::default();
        for _ in 0..2 {
            assert!(cache.render(&FileTree::new(), Catalog).is_err());
        }
        assert_eq!((cache.made(), cache.locked().entries.len()), (0, 0));
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_the_oldest_goes() {
        let cache = RenderCache::default();
        for number in 0..=KEPT {
            cache.render(&package(number), Catalog).unwrap();
            cache.render(&package(0), Catalog).unwrap();
        }
        let made = cache.made();
        assert_eq!(cache.locked().entries.len(), KEPT);
        cache.render(&package(0), Catalog).unwrap();
        assert_eq!(cache.made(), made, "what was asked for last is kept");
        cache.render(&package(1), Catalog).unwrap();
        assert_eq!(cache.made(), made + 1, "what was longest not asked for is gone");
    }
}
