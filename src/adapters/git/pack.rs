//! Packs: what a push sends. Source: git's `gitformat-pack`.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::Kind;
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::data::{Version, header};

/// Why a pack could not be made: an object that is missing or broken, for which gix has an error of each kind.
type Failed = Box<dyn Error + Send + Sync>;

/// A pack with everything that `wanted` commits need and who has `present` lacks; ids in `present` that are not in
/// `repo` are ignored. Objects are whole, not differences to others: a push carries few.
///
/// # Errors
/// When an object cannot be read.
pub(super) fn pack(repo: &gix::Repository, wanted: &[ObjectId], present: &[ObjectId]) -> Result<Vec<u8>, Failed> {
    let objects = missing(repo, wanted, present)?;
    let mut pack = header::encode(Version::V2, u32::try_from(objects.len())?).to_vec();
    for id in objects {
        let object = repo.find_object(id)?;
        kind_of(object.kind).write_to(object.data.len() as u64, &mut pack)?;
        let mut packed = ZlibEncoder::new(&mut pack, Compression::default());
        packed.write_all(&object.data)?;
        packed.finish()?;
    }
    let mut hasher = gix::hash::hasher(repo.object_hash());
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize()?.as_slice());
    Ok(pack)
}

const fn kind_of(kind: Kind) -> Header {
    match kind {
        Kind::Commit => Header::Commit,
        Kind::Tree => Header::Tree,
        Kind::Blob => Header::Blob,
        Kind::Tag => Header::Tag,
    }
}

/// Commits that `wanted` reach and `present` do not, with their trees and files, but for those of the commits they
/// follow.
fn missing(repo: &gix::Repository, wanted: &[ObjectId], present: &[ObjectId]) -> Result<Vec<ObjectId>, Failed> {
    let commit = |id: &ObjectId| Some(repo.find_object(*id).ok()?.peel_to_commit().ok()?.id);
    let walk = repo.rev_walk(wanted.iter().copied()).with_hidden(present.iter().filter_map(commit)).all()?;
    let commits = walk.map(|found| found.map(|found| found.id)).collect::<Result<BTreeSet<_>, _>>()?;
    let mut seen = BTreeSet::new();
    for id in &commits {
        for parent in repo.find_commit(*id)?.parent_ids().filter(|parent| !commits.contains(&parent.detach())) {
            gather(repo, repo.find_commit(parent)?.tree_id()?.detach(), &mut seen)?;
        }
    }
    let mut objects: Vec<ObjectId> = commits.iter().copied().collect();
    for id in &commits {
        objects.extend(gather(repo, repo.find_commit(*id)?.tree_id()?.detach(), &mut seen)?);
    }
    Ok(objects)
}

/// A tree and all that is in it, without what was seen; submodules are in other repositories.
fn gather(repo: &gix::Repository, tree: ObjectId, seen: &mut BTreeSet<ObjectId>) -> Result<Vec<ObjectId>, Failed> {
    let (mut found, mut open) = (Vec::new(), vec![tree]);
    while let Some(tree) = open.pop() {
        if !seen.insert(tree) {
            continue;
        }
        found.push(tree);
        for entry in repo.find_tree(tree)?.iter() {
            let entry = entry?;
            let id = entry.object_id();
            if entry.mode().is_tree() {
                open.push(id);
            } else if !entry.mode().is_commit() && seen.insert(id) {
                found.push(id);
            }
        }
    }
    Ok(found)
}
