use proptest::prelude::*;

use super::{Conflict, Lock, OnConflict, Source, Taken, Trees, UpgradeError, Upgraded, mark, record, source, upgrade};
use crate::domain::source::{File, FileMode, FileTree};

const KPTFILE: &str = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";

fn tree(files: &[(&str, &str)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, text) in files {
        tree.insert(*path, File::regular(text.as_bytes().to_vec())).unwrap();
    }
    tree
}

fn text(tree: &FileTree, path: &str) -> String {
    tree.get(path).map(|file| String::from_utf8(file.bytes.to_vec()).unwrap()).unwrap_or_default()
}

/// The merge of one file.
fn merged(origin: &str, updated: &str, local: &str) -> (String, Vec<Conflict>) {
    let [origin, updated, local] = [origin, updated, local].map(|text| tree(&[("Kptfile", KPTFILE), ("a.yaml", text)]));
    let trees = Trees { origin: &origin, updated: &updated, local: &local };
    let done = upgrade(&trees, super::Strategy::ResourceMerge, OnConflict::Upstream).unwrap();
    (text(&done.tree, "a.yaml"), done.conflicts)
}

/// Templates of a chart are no YAML; a line of `.krmignore` lets an update take them as they are.
#[test]
fn a_chart_that_both_sides_changed_is_told_as_that() {
    let with = |template: &str, ignore: &str| {
        let template = format!("{{{{ {template} }}}} b: {{{{\n");
        let files = [("Kptfile", KPTFILE), ("c/Chart.yaml", "a: 1\n"), ("c/templates/t.yaml", &template)];
        tree(&[&files[..], &[(".krmignore", ignore)]].concat())
    };
    let upgraded = |ignore: &str| {
        let [origin, updated, local] = ["one", "two", "three"].map(|template| with(template, ignore));
        let trees = Trees { origin: &origin, updated: &updated, local: &local };
        upgrade(&trees, super::Strategy::ResourceMerge, OnConflict::Upstream)
    };
    let told = upgraded("").unwrap_err().to_string();
    assert!(told.contains("/c/templates/t.yaml:1: ") && told.lines().count() == 1, "{told}");
    assert!(told.ends_with("(a line /c/ in .krmignore keeps them out) [package.chart]"), "{told}");
    let conflicts = upgraded("/c/\n").unwrap().conflicts;
    assert!(conflicts.len() == 1 && conflicts[0].object == "c/templates/t.yaml", "{conflicts:?}");
}

const HEAD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n";

fn map(data: &str) -> String {
    format!("{HEAD}data:\n{data}")
}

/// How a file is written is its owner's: what comes from upstream is written the same way.
#[test]
fn a_file_keeps_its_mark_and_its_line_ends() {
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    let origin = map("  a: \"1\"\n  b: \"2\" # two\n");
    let updated = map("  a: \"1\"\n  b: \"20\" # two\n  new: x # added\n")
        + "---\n"
        + &map("  z: z\n").replace("name: c", "name: d");
    for local in ["  a: \"1\"\n  b: \"2\" # two\n", "  a: mine\n  b: \"2\" # two\n"] {
        let (unix, _) = merged(&origin, &updated, &map(local));
        let (text, conflicts) = merged(&origin, &updated, &windows(&map(local)));
        assert_eq!((text, conflicts.len()), (windows(&unix), 0));
        let (text, _) = merged(&windows(&origin), &windows(&updated), &map(local));
        assert_eq!(text, unix);
    }
    let marked = mark(&tree(&[("a.yaml", &windows(&origin))]));
    assert_eq!(text(&marked, "a.yaml"), windows(&text(&mark(&tree(&[("a.yaml", &origin)])), "a.yaml")));
    let mut own = tree(&[("Kptfile", &windows(KPTFILE))]);
    let from = Source {
        repo: "r".to_owned(),
        directory: "d".to_owned(),
        reference: "v1".to_owned(),
        strategy: super::Strategy::ResourceMerge,
        lock: None,
    };
    record(&mut own, &from, None).unwrap();
    let kptfile = text(&own, "Kptfile");
    assert!(kptfile.starts_with('\u{feff}') && !kptfile.replace("\r\n", "").contains('\n'), "{kptfile:?}");
}

#[test]
fn each_side_keeps_what_only_it_changed() {
    let origin = map("  # one\n  a: \"1\"\n  b: \"2\" # two\n  c: \"3\"\n");
    let updated = map("  # one, really\n  a: \"1\"\n  b: \"20\" # two\n  new: x # added\n  c: \"3\"\n");
    let local = map("  # one\n  a: '1'\n  b: \"2\" # two\n  c: three   # mine\n");
    let (text, conflicts) = merged(&origin, &updated, &local);
    assert_eq!(text, map("  # one, really\n  a: '1'\n  b: \"20\" # two\n  new: x # added\n  c: three   # mine\n"));
    assert_eq!(conflicts, []);
}

/// What a text of several lines ends with is part of it, also at the end of a resource.
#[test]
fn line_ends_that_are_kept_are_part_of_a_text() {
    let two = |a: &str, ends: &str| {
        format!(
            "{}---\n{}",
            map(&format!("  a: {a}\n")),
            map(&format!("  b: b\n  k: |+\n    x\n{ends}")).replace("name: c", "name: d")
        )
    };
    let table = [
        // Upstream changed only how the text ends, then another field too; locally only the first resource changed.
        (two("o", "\n"), two("o", "\n\n\n"), two("mine", "\n"), two("mine", "\n\n\n")),
        (
            two("o", "\n"),
            two("o", "\n\n").replace("b: b", "b: c"),
            two("mine", "\n"),
            two("mine", "\n\n").replace("b: b", "b: c"),
        ),
        (two("o", "\n\n"), two("o", ""), two("mine", "\n\n"), two("mine", "")),
        // The text is changed on one side, and another field of its resource on the other.
        (
            two("o", "\n"),
            two("o", "\n\n\n"),
            two("o", "\n").replace("b: b", "b: mine"),
            two("o", "\n\n\n").replace("b: b", "b: mine"),
        ),
        (
            two("o", "\n"),
            two("o", "\n").replace("b: b", "b: new"),
            two("o", "\n\n\n"),
            two("o", "\n\n\n").replace("b: b", "b: new"),
        ),
        // And in the middle of a file.
        (
            map("  k: |+\n    x\n\n") + "---\n" + &two("o", ""),
            map("  k: |+\n    x\n\n\n") + "---\n" + &two("o", ""),
            map("  k: |+\n    x\n\n") + "---\n" + &two("mine", ""),
            map("  k: |+\n    x\n\n\n") + "---\n" + &two("mine", ""),
        ),
    ];
    for (number, (origin, updated, local, wanted)) in table.into_iter().enumerate() {
        let named = |text: String| text.replacen("name: c", "name: first", usize::from(number == 5));
        let [origin, updated, local, wanted] = [origin, updated, local, wanted].map(named);
        assert_eq!(merged(&origin, &updated, &local), (wanted, vec![]), "row {number}");
    }
    // Blank lines that are no part of a text are not worth a change.
    let (origin, local) = (map("  k: |\n    x\n"), map("  k: |\n    x\n").replace("x\n", "y\n"));
    assert_eq!(merged(&origin, &format!("{origin}\n\n"), &local), (local, vec![]));
}

#[test]
fn comments_behind_values_follow_upstream() {
    let origin = map("  a: \"1\"\n  b: \"2\"\n");
    let updated = map("  a: \"1\" # kpt-set: ${a}\n  b: \"3\"\n");
    let local = map("  a: mine\n  b: \"2\" # note\n");
    assert_eq!(merged(&origin, &updated, &local).0, map("  a: mine # kpt-set: ${a}\n  b: \"3\" # note\n"));
}

#[test]
fn a_conflict_names_both_values_and_lines() {
    let origin = map("  a: \"1\"\n");
    let updated = map("  a: \"2\"\n");
    let local = format!("# head\n{}", map("  a: \"3\"\n"));
    let (text, conflicts) = merged(&origin, &updated, &local);
    assert_eq!(text, format!("# head\n{}", map("  a: \"2\"\n")));
    let told: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
    assert_eq!(told, [r#"ConfigMap/c .data.a: local has "3" (a.yaml:7), upstream has "2" (a.yaml:6)"#]);
    assert_eq!(conflicts[0].taken, Taken::Upstream);
}

/// kpt reads what a Kptfile says as texts, `y` and `n` too.
#[test]
fn a_conflict_of_kptfiles_names_texts() {
    let kptfile = |app: &str| {
        format!("{KPTFILE}pipeline:\n  mutators:\n  - image: set-labels\n    configMap:\n      app: {app}\n")
    };
    let [origin, updated, local] = ["x", "y", "n"].map(|app| tree(&[("Kptfile", &kptfile(app))]));
    let trees = Trees { origin: &origin, updated: &updated, local: &local };
    let done = upgrade(&trees, super::Strategy::ResourceMerge, OnConflict::Upstream).unwrap();
    let told: Vec<String> = done.conflicts.iter().map(ToString::to_string).collect();
    assert!(told[0].contains("\"n\"") && told[0].contains("\"y\""), "{told:?}");
}

#[test]
fn values_of_secrets_are_not_told() {
    let secret =
        |value: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  p: {value}\n");
    let (_, conflicts) = merged(&secret("one"), &secret("two"), &secret("three"));
    let told = conflicts[0].to_string();
    assert_eq!(told, "Secret/s .stringData.p: local changed it (a.yaml:6), upstream changed it (a.yaml:6)");
}

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n";

#[test]
fn lists_are_merged_by_their_keys() {
    let origin = format!("{POD}  - name: a\n    image: a:1\n  - name: b\n    image: b:1\n");
    let updated = format!(
        "{POD}  - name: a\n    image: a:2 # new\n  # between\n  - name: x\n    image: x:1\n  - name: b\n    image: b:1\n"
    );
    let local = format!(
        "{POD}    - name: mine\n      image: m\n    - name: a\n      image: a:1\n      tty: true\n    - name: b\n      image: b:mine\n"
    );
    let (text, conflicts) = merged(&origin, &updated, &local);
    let wanted = "    - name: mine\n      image: m\n    - name: a\n      image: a:2 # new\n      tty: true\n    # between\n    - name: x\n      image: x:1\n    - name: b\n      image: b:mine\n";
    assert_eq!(text, format!("{POD}{wanted}"));
    assert_eq!(conflicts, []);
}

/// Upstream adds to a list and takes from it; remarks that somebody made on what stayed are still there.
#[test]
fn remarks_on_items_stay_when_upstream_changes_their_list() {
    let pod = |items: &str| format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\nspec:\n  containers:\n{items}");
    let origin = pod("  - name: a # first\n    image: a:1\n    args:\n    - x\n    - y\n  - name: b\n");
    let local = pod(
        "  # LOCAL above\n  - name: a # first, LOCAL\n    image: a:1 # LOCAL image\n    args:\n    - x # LOCAL x\n    - y\n  - name: b\n",
    );
    let updated = pod(
        "  - name: a # first\n    image: a:2\n    args:\n    - w\n    - x\n    - y\n    - z # new\n  - name: b\n  - name: c # new\n",
    );
    let expected = pod(
        "  # LOCAL above\n  - name: a # first, LOCAL\n    image: a:2 # LOCAL image\n    args:\n    - w\n    - x # LOCAL x\n    - y\n    - z # new\n  - name: b\n  - name: c # new\n",
    );
    assert_eq!(merged(&origin, &updated, &local), (expected, Vec::new()));
}

#[test]
fn what_is_written_in_braces_stays_in_braces() {
    let with = |labels: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  labels: {labels}\n");
    let (text, _) = merged(&with("{a: x, b: y}"), &with("{a: z, b: y}"), &with("{a: x, b: mine} # flow"));
    assert_eq!(text, with("{a: z, b: mine} # flow"));
}

#[test]
fn a_renamed_resource_is_found_by_its_merge_comment() {
    let origin = map("  a: \"1\"\n");
    let updated = map("  a: \"2\"\n");
    let local = origin.replace("metadata:\n  name: c", "metadata: # kpt-merge: /c\n  name: mine");
    let wanted = updated.replace("metadata:\n  name: c", "metadata: # kpt-merge: /c\n  name: mine");
    assert_eq!(merged(&origin, &updated, &local), (wanted, Vec::new()));
}

#[test]
fn a_renamed_resource_with_a_comment_of_its_own_is_found_by_its_annotation() {
    let origin = map("  a: \"1\"\n").replace("metadata:\n", "metadata: # team net\n");
    let marked = text(&mark(&tree(&[("a.yaml", &origin)])), "a.yaml");
    assert!(marked.contains("# team net") && !marked.contains("kpt-merge"), "{marked}");
    let local = marked.replace("  name: c", "  name: mine");
    let (merged, conflicts) = merged(&origin, &origin.replace("a: \"1\"", "a: \"2\""), &local);
    assert_eq!((merged.as_str(), conflicts), (local.replace("a: \"1\"", "a: \"2\"").as_str(), Vec::new()));
    assert_eq!(text(&mark(&tree(&[("a.yaml", &merged)])), "a.yaml"), merged, "it is still known by its first name");
}

#[test]
fn modes_go_by_their_own_history() {
    let with = |mode: FileMode, text: &str| {
        let mut tree = tree(&[("Kptfile", KPTFILE)]);
        tree.insert("a.yaml", File { mode, bytes: text.as_bytes().into() }).unwrap();
        tree
    };
    let origin = with(FileMode::Regular, &map("  a: \"1\"\n  b: \"1\"\n"));
    let updated = with(FileMode::Regular, &map("  a: \"2\"\n  b: \"1\"\n"));
    let local = with(FileMode::Executable, &map("  a: \"1\"\n  b: \"2\"\n"));
    let trees = Trees { origin: &origin, updated: &updated, local: &local };
    let done = upgrade(&trees, super::Strategy::ResourceMerge, OnConflict::Upstream).unwrap();
    assert_eq!(done.tree, with(FileMode::Executable, &map("  a: \"2\"\n  b: \"2\"\n")));
}

#[test]
fn a_merge_comment_is_added_once() {
    let once = mark(&tree(&[("a.yaml", &map("  a: \"1\"\n")), ("Kptfile", KPTFILE), ("values.yaml", "a: 1\n")]));
    let wanted = "apiVersion: v1\nkind: ConfigMap\nmetadata: # kpt-merge: /c\n  name: c\n  annotations:\n    internal.kpt.dev/upstream-identifier: \"|ConfigMap|default|c\"\ndata:\n  a: \"1\"\n";
    assert_eq!(text(&once, "a.yaml"), wanted);
    assert_eq!(mark(&once), once);
    assert_eq!((text(&once, "Kptfile").as_str(), text(&once, "values.yaml").as_str()), (KPTFILE, "a: 1\n"));
}

#[test]
fn where_a_package_comes_from_is_written_into_the_file_as_it_stands() {
    let mut tree = tree(&[("Kptfile", &format!("# mine\n{KPTFILE}info: {{site: x}} # kept\n"))]);
    assert_eq!(source(&tree), Ok(None));
    let from = Source {
        repo: "https://example.com/r.git".to_owned(),
        directory: "web".to_owned(),
        reference: "~1".to_owned(),
        strategy: super::Strategy::FastForward,
        lock: Some(Lock {
            repo: "https://example.com/r.git".to_owned(),
            directory: "web".to_owned(),
            reference: "web/v1.2.0".to_owned(),
            revision: "a".repeat(40),
        }),
    };
    record(&mut tree, &from, None).unwrap();
    assert_eq!(source(&tree), Ok(Some(from)));
    let text = text(&tree, "Kptfile");
    assert!(text.starts_with("# mine\n") && text.contains("info: {site: x} # kept\n"), "{text}");
    assert!(text.contains("directory: /web\n") && text.contains("ref: web/v1.2.0\n"), "{text}");
}

#[test]
fn a_subpackage_with_an_upstream_of_its_own_is_left_to_it() {
    let git = |repo: &str| format!("upstream:\n  type: git\n  git: {{repo: {repo}, directory: /, ref: v1}}\n");
    let oci = |image: &str| format!("upstream:\n  type: oci\n  oci: {{image: {image}}}\n");
    let table = [
        (git("r"), git("mine"), true),
        (oci("r/a:v1"), oci("mine/a:v1"), true),
        (oci("r/a:v1"), git("r"), true),
        (git("r"), oci("r/a:v1"), true),
        (oci("r/a:v1"), String::new(), true),
        (String::new(), oci("mine/a:v1"), true),
        (oci("r/a:v1"), oci("r/a:v1"), false),
        (git("r"), git("r"), false),
    ];
    for (origin, local, is_kept) in table {
        let package = |upstream: &str, data: &str| {
            let kptfile = format!("{}{upstream}", KPTFILE.replace("name: p", "name: s"));
            tree(&[("Kptfile", KPTFILE), ("s/Kptfile", &kptfile), ("s/a.yaml", &map(data))])
        };
        let (was, local) = (package(&origin, "  a: \"1\"\n"), package(&local, "  a: \"1\"\n"));
        let updated = package(&origin.replace("v1", "v2"), "  a: \"2\"\n");
        let done = merge(&was, &updated, &local, OnConflict::Upstream).unwrap();
        let wanted = if is_kept { &local } else { &updated };
        assert_eq!(done.tree, *wanted, "{origin}");
        assert_eq!(done.notes.iter().any(|note| note.contains("follows an upstream of its own")), is_kept, "{origin}");
    }
}

/// Small packages that have much in common.
fn package() -> impl proptest::strategy::Strategy<Value = FileTree> {
    let scalar = prop::sample::select(vec!["1", "\"1\"", "x # note", "\"\"", "null", "{a: b}", "[1, 2]"]);
    let entry = (prop::sample::select(vec!["a", "b", "c"]), scalar);
    let data = prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), entry, 0..3);
    let containers = prop::collection::btree_map(
        prop::sample::select(vec!["x", "y", "z"]),
        prop::sample::select(vec!["i:1", "i:2", "i:3 # pinned"]),
        0..4,
    );
    let object = (prop::sample::select(vec!["one", "two"]), data, containers, any::<bool>()).prop_map(
        |(name, data, containers, wide)| {
            let mut text = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: {name}\n");
            for (key, (inner, value)) in data {
                text.push_str(&format!("{key}:\n  # about {key}\n  {inner}: {value}\n"));
            }
            let pad = if wide { "    " } else { "  " };
            let items = containers.iter().map(|(name, image)| format!("{pad}- name: {name}\n{pad}  image: {image}\n"));
            let items: String = items.collect();
            if items.is_empty() { text } else { format!("{text}spec:\n  containers:\n{items}") }
        },
    );
    let resources = prop::collection::vec(object, 1..3).prop_map(|mut objects| {
        objects.sort();
        objects.dedup_by_key(|text| text.lines().nth(3).map(str::to_owned));
        objects.join("---\n")
    });
    let names = prop::sample::select(vec!["a.yaml", "b.yaml", "sub/c.yaml", "sub/Kptfile", "notes.txt"]);
    prop::collection::btree_map(names, resources, 0..4).prop_map(|files| {
        let mut made = tree(&[("Kptfile", KPTFILE)]);
        for (path, text) in files {
            let text = match path {
                "sub/Kptfile" => "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: sub\n".to_owned(),
                _ => text,
            };
            made.insert(path, File::regular(text.into_bytes())).unwrap();
        }
        made
    })
}

fn merge(origin: &FileTree, updated: &FileTree, local: &FileTree, on: OnConflict) -> Result<Upgraded, UpgradeError> {
    upgrade(&Trees { origin, updated, local }, super::Strategy::ResourceMerge, on)
}

fn reversed(tree: &FileTree) -> FileTree {
    let files: Vec<_> = tree.iter().map(|(path, file)| (path.to_owned(), file.clone())).collect();
    let mut made = FileTree::new();
    for (path, file) in files.into_iter().rev() {
        made.insert(path, file).unwrap();
    }
    made
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_upstream_left_alone_stays_local(base in package(), local in package()) {
        let done = merge(&base, &base, &local, OnConflict::Fail).unwrap();
        prop_assert_eq!(done.tree, local);
    }

    #[test]
    fn what_was_left_alone_locally_follows(base in package(), updated in package()) {
        let done = merge(&base, &updated, &base, OnConflict::Fail).unwrap();
        prop_assert_eq!(done.tree, updated);
    }

    #[test]
    fn what_both_made_alike_is_that(base in package(), both in package()) {
        let done = merge(&base, &both, &both, OnConflict::Fail).unwrap();
        prop_assert_eq!(done.tree, both);
    }

    /// Any three versions merge or say why not, whichever order they are listed in; a loser is always reported, and
    /// merging the result again changes nothing.
    #[test]
    fn merging_is_settled(base in package(), updated in package(), local in package()) {
        for on in [OnConflict::Upstream, OnConflict::Local] {
            let done = merge(&base, &updated, &local, on);
            prop_assert_eq!(&done, &merge(&reversed(&base), &reversed(&updated), &reversed(&local), on));
            let Ok(done) = done else { continue };
            let failed = merge(&base, &updated, &local, OnConflict::Fail);
            prop_assert_eq!(failed.is_err(), !done.conflicts.is_empty());
            let again = merge(&updated, &updated, &done.tree, on).unwrap();
            prop_assert_eq!(again.tree, done.tree);
        }
    }

    /// Upstream changes some values, somebody remarks on every line: both are there afterwards, and nothing else moves.
    #[test]
    fn remarks_on_every_line_survive(changed in prop::collection::vec(any::<bool>(), LINES.len())) {
        let lines = |write: &dyn Fn(usize, &str, &str) -> String| -> String {
            LINES.iter().enumerate().map(|(number, (key, value))| write(number, key, value) + "\n").collect()
        };
        let is_new = |number: usize, value: &str| changed[number] && value.starts_with('v');
        let updated = |number: usize, value: &str| {
            if is_new(number, value) { value.replacen('v', "new", 1) } else { value.to_owned() }
        };
        let remark = |number: usize| format!(" # remark {number}");
        let gap = |value: &str| if value.is_empty() { "" } else { " " };
        let one = lines(&|_, key, value| format!("{key}{}{value}", gap(value)));
        let two = lines(&|number, key, value| format!("{key}{}{}", gap(value), updated(number, value)));
        let mine = lines(&|number, key, value| format!("# above {number}\n{key}{}{value}{}", gap(value), remark(number)));
        let wanted = lines(&|number, key, value| {
            format!("# above {number}\n{key}{}{}{}", gap(value), updated(number, value), remark(number))
        });
        let (found, conflicts) = merged(&one, &two, &mine);
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(conflicts, []);
    }
}

/// A Deployment as keys and values; a value that begins with `v` is one to change.
const LINES: &[(&str, &str)] = &[
    ("apiVersion:", "apps/v1"),
    ("kind:", "Deployment"),
    ("metadata:", ""),
    ("  name:", "d"),
    ("  annotations:", ""),
    ("    a:", "v1"),
    ("    b:", "\"v\""),
    ("spec:", ""),
    ("  replicas:", "1"),
    ("  template:", ""),
    ("    spec:", ""),
    ("      containers:", ""),
    ("      - name:", "one"),
    ("        image:", "v2"),
    ("        args:", ""),
    ("        -", "v3"),
    ("        -", "v4"),
    ("        env:", ""),
    ("        - name:", "A"),
    ("          value:", "v5"),
    ("        - value:", "v6"),
    ("          name:", "B"),
    ("      - name:", "two"),
    ("        image:", "v7"),
    ("      nodeSelector:", "{a: v9}"),
    ("      hostname:", "v10"),
];
