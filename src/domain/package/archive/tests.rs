use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

/// One entry as its bytes are written, whatever a proper program would write.
struct Raw {
    name: Vec<u8>,
    kind: EntryType,
    mode: u32,
    target: &'static str,
    content: Vec<u8>,
}

fn raw(name: &str, kind: EntryType, content: &str) -> Raw {
    Raw { name: name.as_bytes().to_vec(), kind, mode: 0o644, target: "", content: content.as_bytes().to_vec() }
}

fn file(name: &str) -> Raw {
    raw(name, EntryType::Regular, "text\n")
}

fn link(name: &str, target: &'static str) -> Raw {
    Raw { target, ..raw(name, EntryType::Symlink, "") }
}

fn header(entry: &Raw) -> Header {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..entry.name.len()].copy_from_slice(&entry.name);
    header.as_old_mut().linkname[..entry.target.len()].copy_from_slice(entry.target.as_bytes());
    header.set_entry_type(entry.kind);
    header.set_mode(entry.mode);
    header.set_size(entry.content.len() as u64);
    header.set_cksum();
    header
}

fn tar(entries: &[Raw]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        builder.append(&header(entry), entry.content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn pax(records: &[(&str, &str)]) -> Raw {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        let digits = |length: usize| (length + length.to_string().len()).to_string().len();
        let length = rest.len() + digits(rest.len());
        format!("{length}{rest}")
    };
    raw("pax", EntryType::XHeader, &records.iter().map(record).collect::<String>())
}

fn refused(bytes: &[u8]) -> String {
    unpack(bytes, &Budget::default()).map(|tree| format!("{tree:?}")).unwrap_err().to_string()
}

#[test]
fn files_modes_and_links_come_out() {
    let program = Raw { mode: 0o755, ..file("./run.sh") };
    let entries = [
        raw("./", EntryType::Directory, ""),
        raw("./sub/", EntryType::Directory, ""),
        file("./Kptfile"),
        program,
        link("sub/up", "../run.sh"),
        raw("pax_global_header", EntryType::XGlobalHeader, "19 comment=deadbee\n"),
        raw("name", EntryType::GNULongName, "long.yaml\0"),
        file("short"),
        pax(&[("path", "sub/ü.yaml"), ("mtime", "1.5")]),
        file("fallback"),
    ];
    for bytes in
        [tar(&entries), gzip(&tar(&entries)), [gzip(&tar(&entries)[..700]), gzip(&tar(&entries)[700..])].concat()]
    {
        let tree = unpack(&bytes, &Budget::default()).unwrap();
        let found: Vec<_> = tree.iter().map(|(path, file)| (path, file.mode)).collect();
        let (regular, program, link) = (FileMode::Regular, FileMode::Executable, FileMode::Symlink);
        let expected = [
            ("Kptfile", regular),
            ("long.yaml", regular),
            ("run.sh", program),
            ("sub/up", link),
            ("sub/ü.yaml", regular),
        ];
        assert_eq!(found, expected);
        assert_eq!(tree.get("sub/up").unwrap().bytes.as_ref(), b"../run.sh");
        assert_eq!(tree.get("Kptfile").unwrap().bytes.as_ref(), b"text\n");
    }
}

#[test]
fn bad_entries_are_refused() {
    let long = "a".repeat(256);
    let table: Vec<(Vec<Raw>, &str, &str)> = vec![
        (vec![file("../x")], "../x", "path.escape"),
        (vec![file("/etc/x")], "/etc/x", "path.escape"),
        (vec![file("a/../../x")], "a/../../x", "path.escape"),
        (vec![raw("../d/", EntryType::Directory, "")], "../d", "path.escape"),
        (vec![pax(&[("path", "../x")]), file("good")], "../x", "path.escape"),
        (vec![raw("n", EntryType::GNULongName, "../x\0"), file("good")], "../x", "path.escape"),
        (vec![file(".git/config")], "it names .git", "path.name_invalid"),
        (vec![file("a\nb")], "control character", "path.name_invalid"),
        (vec![file("a//b")], "an empty part", "path.name_invalid"),
        (vec![file("d/")], "an empty part", "path.name_invalid"),
        (vec![pax(&[("path", &long)]), file("a")], "longer than 255", "path.name_invalid"),
        (vec![Raw { name: vec![b'a', 0xff], ..file("") }], "not UTF-8", "path.name_invalid"),
        (vec![file("")], "it is empty", "path.name_invalid"),
        (vec![link("out", "../x")], "\"../x\", which is outside", "path.symlink"),
        (vec![link("out", "/etc/passwd")], "/etc/passwd", "path.symlink"),
        (vec![link("d/l", "../../x")], "outside", "path.symlink"),
        (vec![link("l", "d"), file("l/x")], "behind the symbolic link \"l\"", "path.symlink"),
        (vec![file("l/x"), link("l", "d")], "\"l\" is there twice", "archive.ambiguous"),
        (vec![Raw { target: "good", ..raw("h", EntryType::Link, "") }], "a hard link", "path.file_type"),
        (vec![raw("p", EntryType::Fifo, "")], "a pipe", "path.file_type"),
        (vec![raw("c", EntryType::Char, "")], "a device", "path.file_type"),
        (vec![raw("b", EntryType::Block, "")], "a device", "path.file_type"),
        (vec![raw("b", EntryType::new(b'Z'), "")], "not known", "path.file_type"),
        (vec![Raw { mode: 0o4755, ..file("s") }], "the rights of its owner", "path.file_type"),
        (vec![file("a"), file("a")], "\"a\" is there twice", "archive.ambiguous"),
        (vec![file("a"), file("./a")], "\"a\" is there twice", "archive.ambiguous"),
        (vec![file("a"), file("a/b")], "\"a\" is there twice", "archive.ambiguous"),
        (vec![file("a/b"), file("a")], "\"a\" is there twice", "archive.ambiguous"),
        (vec![file("Kptfile"), file("kptfile")], "where case does not count", "archive.ambiguous"),
        (vec![file("D/a"), file("d/b")], "where case does not count", "archive.ambiguous"),
        (vec![pax(&[("size", "7")]), file("a")], "different sizes", "archive.ambiguous"),
        (vec![pax(&[("path", "a"), ("path", "b")]), file("c")], "its name is given twice", "archive.ambiguous"),
        (
            vec![pax(&[("path", "a")]), raw("n", EntryType::GNULongName, "b\0"), file("c")],
            "given twice",
            "archive.ambiguous",
        ),
        (vec![pax(&[("GNU.sparse.major", "1")]), file("c")], "sparse", "archive.ambiguous"),
        (vec![raw("s", EntryType::GNUSparse, "")], "sparse", "archive.ambiguous"),
        (
            vec![raw("g", EntryType::XGlobalHeader, "10 path=x\n"), file("c")],
            "a header for all entries",
            "archive.ambiguous",
        ),
        (
            vec![raw("n", EntryType::GNULongName, &"a".repeat(70_000)), file("c")],
            "a header of 70000 bytes",
            "archive.limit",
        ),
        (vec![pax(&[("path", "a")])], "belongs to no entry", "archive.malformed"),
        (vec![raw("p", EntryType::XHeader, "99 path=x\n"), file("c")], "unpacking the archive", "archive.malformed"),
    ];
    for (entries, words, code) in table {
        let error = refused(&tar(&entries));
        assert!(error.ends_with(&format!("[{code}]")) && error.contains(words), "{words}: {error}");
        assert_eq!(refused(&gzip(&tar(&entries))), error);
    }
}

#[test]
fn damaged_archives_are_refused() {
    let good = tar(&[file("a"), file("b")]);
    let mut checksum = good.clone();
    checksum[0] ^= 1;
    let packed = gzip(&good);
    let mut crc = packed.clone();
    let at = crc.len() - 6;
    crc[at] ^= 1;
    let table: [(&str, Vec<u8>); 8] = [
        ("in the middle of a header", good[..1024 + 100].to_vec()),
        ("in the middle of a file", good[..512 + 2].to_vec()),
        ("checksum", checksum),
        ("garbage behind the end", [good.as_slice(), b"more"].concat()),
        ("no archive", b"apiVersion: v1\nkind: ConfigMap\n".to_vec()),
        ("half of a gzip", packed[..packed.len() / 2].to_vec()),
        ("checksum of gzip", crc),
        ("garbage behind gzip", [packed.as_slice(), b"more"].concat()),
    ];
    for (what, bytes) in table {
        let error = refused(&bytes);
        assert!(error.ends_with("[archive.malformed]"), "{what}: {error}");
    }
    assert!(unpack(&[], &Budget::default()).unwrap().is_empty());
    assert!(unpack(&[0; 1024], &Budget::default()).unwrap().is_empty());
}

#[test]
fn limits_hold() {
    let budget = Budget { entries: 3, file_bytes: 100, total_bytes: 8 << 20, ratio: 10 };
    let refused = |bytes: &[u8]| unpack(bytes, &budget).unwrap_err().to_string();
    let many: Vec<Raw> = (0..4).map(|number| file(&number.to_string())).collect();
    assert!(refused(&tar(&many)).contains("the number of its entries exceeds the limit of 3 [archive.limit]"));
    let large = raw("large", EntryType::Regular, &"x".repeat(101));
    assert!(
        refused(&tar(&[large])).contains("the file \"large\" of 101 bytes exceeds the limit of 100 [archive.limit]")
    );
    let bomb = gzip(&vec![0; 4 << 20]);
    assert!(refused(&bomb).ends_with("as in a decompression bomb [archive.ratio_limit]"), "{}", refused(&bomb));
    let members: Vec<u8> = std::iter::repeat_n(gzip(&vec![0; 64 << 10]), 40).flatten().collect();
    assert!(refused(&members).ends_with("[archive.ratio_limit]"), "{}", refused(&members));
    assert!(refused(&vec![0; 9 << 20]).ends_with("[archive.limit]"));
    // A header that claims more than there is takes no memory for it.
    let mut claim = header(&file("a"));
    claim.set_size(u64::from(u32::MAX) * 2);
    claim.set_cksum();
    assert!(super::unpack(claim.as_bytes(), &Budget::default()).unwrap_err().to_string().ends_with("[archive.limit]"));
}

/// The same files as the real `tar` program makes them, in each of its formats.
#[test]
fn the_tar_program_is_understood() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{}/{}.yaml", "d".repeat(80), "f".repeat(80));
    std::fs::create_dir_all(dir.path().join("p").join("d".repeat(80))).unwrap();
    std::fs::write(dir.path().join("p/Kptfile"), "k\n").unwrap();
    std::fs::write(dir.path().join("p").join(&long), "l\n").unwrap();
    std::os::unix::fs::symlink("Kptfile", dir.path().join("p/link")).unwrap();
    for format in ["gnu", "pax", "ustar"] {
        let format_flag = format!("--format={format}");
        let output = std::process::Command::new("tar")
            .args(["-C", "p", &format_flag, "-czf", "-", "."])
            .current_dir(dir.path())
            .output();
        let Ok(output) = output.map_err(|error| eprintln!("not run: tar: {error}")) else { return };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = unpack(&output.stdout, &Budget::default()).unwrap();
        let found: Vec<&str> = tree.iter().map(|(path, _)| path).collect();
        assert_eq!(found, ["Kptfile", long.as_str(), "link"], "{format}");
    }
}

proptest::proptest! {
    /// Whatever is damaged, what comes out is a package, or an error with a code.
    #[test]
    fn nothing_that_is_damaged_gets_through(changes in proptest::collection::vec((0_usize..4096, 0_u8..=255), 1..8), packed: bool) {
        let entries = [
            pax(&[("path", "d/a.yaml")]),
            file("x"),
            raw("n", EntryType::GNULongName, "long.yaml\0"),
            link("short", "x"),
            file("b"),
        ];
        let mut bytes = tar(&entries);
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        let bytes = if packed { gzip(&bytes) } else { bytes };
        match unpack(&bytes, &Budget::default()) {
            Ok(tree) => assert!(escaping_links(&tree).is_empty() && tree.iter().all(|(path, _)| check_path(path).is_ok())),
            Err(error) => assert!(error.to_string().ends_with(']')),
        }
    }
}
