//! Packs that are wrong, served as git serves them: what is said of each, and that nothing of it becomes a ref.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;
use crate::adapters::git::remote::meter::Limits;
use crate::domain::error::Class;

/// Entries of packs. Source: git's gitformat-pack.
const COMMIT: u8 = 1;
const BLOB: u8 = 3;
const BEFORE: u8 = 6;
const NAMED: u8 = 7;

/// An entry: kind, claimed size, what stands in front of its contents, contents.
type Entry = (u8, u64, Vec<u8>, Vec<u8>);

fn whole(kind: u8, bytes: &[u8]) -> Entry {
    (kind, bytes.len() as u64, Vec::new(), bytes.to_vec())
}

fn header(kind: u8, size: u64) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (size & 15) as u8];
    let mut rest = size >> 4;
    while rest > 0 {
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push((rest & 0x7f) as u8);
        rest >>= 7;
    }
    bytes
}

/// A pack that says it has `count` objects, with a right checksum.
fn pack_of(count: u32, entries: &[Entry]) -> Vec<u8> {
    let mut pack = [b"PACK".as_slice(), &2_u32.to_be_bytes(), &count.to_be_bytes()].concat();
    for (kind, size, front, bytes) in entries {
        pack.extend(header(*kind, *size));
        pack.extend(front);
        let mut packed = ZlibEncoder::new(&mut pack, Compression::default());
        packed.write_all(bytes).unwrap();
        packed.finish().unwrap();
    }
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&pack);
    pack.extend_from_slice(hasher.try_finalize().unwrap().as_slice());
    pack
}

/// The answer of a server of git to `fetch`.
fn answer(pack: &[u8]) -> Vec<u8> {
    let line = |band: &[u8], bytes: &[u8]| {
        [format!("{:04x}", bytes.len() + band.len() + 4).into_bytes(), band.to_vec(), bytes.to_vec()].concat()
    };
    let mut body = line(b"", b"packfile\n");
    pack.chunks(60_000).for_each(|chunk| body.extend(line(&[1], chunk)));
    body.extend(b"0000");
    [b"Content-Type: application/x-git-upload-pack-result\r\n\r\n".to_vec(), body].concat()
}

const LIMITS: Limits = Limits { packed: 200_000, objects: 100, unpacked: 8 << 20, object: 1 << 20 };

/// What a fetch of a pack says, without what stands in front of it.
struct World {
    dir: tempfile::TempDir,
    server: GitServer,
    pack: Arc<Mutex<Vec<u8>>>,
}

impl World {
    fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        git(dir.path(), &["init", "-q", "--bare", "r.git"]);
        let repo = LocalRepository::open(&dir.path().join("r.git")).unwrap();
        let one = commit(&repo, "one", vec![]);
        repo.push(None, &[update("refs/heads/main", None, Some(&one))]).unwrap();
        let pack: Arc<Mutex<Vec<u8>>> = Arc::default();
        let served = pack.clone();
        let tamper = move |_: &str, output: &mut Vec<u8>| {
            let served = served.lock().unwrap();
            if !served.is_empty() && output.windows(8).any(|eight| eight == b"packfile") {
                *output = answer(&served);
            }
        };
        let server = GitServer::tampering(dir.path(), Arc::new(|_, _, _| {}), Arc::new(tamper))?;
        Some(Self { dir, server, pack })
    }

    fn told(&self, pack: Vec<u8>) -> String {
        *self.pack.lock().unwrap() = pack;
        let url = self.server.url("r.git");
        let cache = tempfile::tempdir_in(self.dir.path()).unwrap();
        let repo = RemoteRepository::limited(&url, cache.path(), LIMITS).unwrap();
        let said = repo.fetch().map(|refs| refs.len());
        let Err(error) = said else { return String::new() };
        let (class, error) = (error.class(), error.to_string());
        // Who asks again for what is too large brings it all again.
        assert_eq!(class == Class::Invalid, error.ends_with("[git.pack_limit]"), "{class}: {error}");
        assert_eq!(repo.mirror.refs().unwrap().len(), 0, "{error}");
        let kept = std::fs::read_dir(repo.dir.join("objects/pack")).unwrap().count();
        assert!(kept == 0 || error.contains("is not in it"), "{error}");
        error.strip_prefix(&format!("{url}: fetching failed: the server's pack is ")).unwrap_or(&error).to_owned()
    }
}

fn damaged(pack: &[u8], at: usize) -> Vec<u8> {
    let mut pack = pack.to_vec();
    pack[at] ^= 0x55;
    pack
}

#[test]
fn packs_that_are_none_are_told() {
    let Some(world) = World::start() else { return };
    assert_eq!(world.told(Vec::new()), "", "the server's own pack");
    let good = [whole(BLOB, b"a file")];
    let pack = pack_of(1, &good);
    let named = |digit: u8| vec![digit; 20];
    let delta = vec![1, 1, 0x90, 1];
    let table = [
        ("its checksum is wrong", damaged(&pack, pack.len() - 1)),
        ("its beginning is none", damaged(&pack, 0)),
        ("it is of another version", damaged(&pack, 7)),
        ("it ends early", pack[..pack.len() - 25].to_vec()),
        ("it has fewer objects than it says", pack_of(2, &good)),
        ("it has more objects than it says", pack_of(1, &[good[0].clone(), whole(BLOB, b"another")])),
        ("a base is missing", pack_of(1, &[(NAMED, 4, named(7), delta.clone())])),
        ("bases in circles", pack_of(2, &[(NAMED, 4, named(7), delta.clone()), (NAMED, 4, named(8), delta.clone())])),
        ("its own base", pack_of(1, &[(BEFORE, 4, vec![0], delta.clone())])),
        ("a base in front of the pack", pack_of(1, &[(BEFORE, 4, vec![0x7f], delta)])),
        ("it claims too little", pack_of(1, &[(BLOB, 10, Vec::new(), vec![0; 5 << 20])])),
        ("it claims too much", pack_of(1, &[(BLOB, 1 << 40, Vec::new(), vec![0; 10])])),
        ("what was asked for is not in it", pack.clone()),
        ("a delta that is none", pack_of(2, &[good[0].clone(), (BEFORE, 2, vec![16], vec![0xff; 2])])),
    ];
    for (why, pack) in table {
        let said = world.told(pack);
        assert!(said.starts_with("damaged: ") && said.ends_with(" [git.pack_invalid]"), "{why}: {said}");
    }
}

#[test]
fn packs_that_are_too_large_are_refused() {
    let Some(world) = World::start() else { return };
    let object = "one of its objects, or their list, has more than 1048576 bytes";
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let noise: Vec<u8> = (0..300_000).map(|_| random()).collect();
    // Made of the file in front of it, which has 6 bytes: a result of 34 GB, of which one byte is there.
    let first = whole(BLOB, b"a file");
    let behind = pack_of(1, std::slice::from_ref(&first)).len() - 12 - 20;
    let grown = (BEFORE, 8, vec![u8::try_from(behind).unwrap()], vec![6, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x90, 1]);
    let table = [
        ("a file that is one zero", object, pack_of(1, &[whole(BLOB, &vec![0; 3 << 20])])),
        ("what is made of another", object, pack_of(2, &[first, grown])),
        ("a count that is a lie", object, pack_of(4_000_000_000, &[whole(BLOB, b"a file")])),
        ("many objects", "it has more than 100 objects", pack_of(101, &vec![whole(BLOB, b"a file"); 101])),
        ("many bytes", "it has more than 200000 bytes", pack_of(1, &[whole(BLOB, &noise)])),
        (
            "many bytes in few",
            "it has more than 8388608 bytes in its objects",
            pack_of(12, &vec![whole(COMMIT, &vec![b'a'; 1 << 20]); 12]),
        ),
    ];
    for (why, limit, pack) in table {
        assert_eq!(world.told(pack), format!("refused: {limit} [git.pack_limit]"), "{why}");
    }
}
