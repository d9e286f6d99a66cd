//! Packages that are wrong, on the laptop: exit code 2, the file and what is wrong with it, and nothing is written.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "support/program.rs"]
mod program;

use std::path::Path;

use program::{Folder, Said};

/// A package made from the example `web`, changed by `spoil`; what `loggia VERB` says of it.
fn told(verb: &str, spoil: impl Fn(&Path)) -> String {
    let folder = Folder::new();
    let package = folder.example("web");
    spoil(&package);
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(&package).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let said = Said::of(folder.loggia().arg(verb).arg(&package).output().unwrap()).failed(&[]);
    assert!(said.out.is_empty(), "{verb} printed a result");
    assert_eq!(names(), before, "{verb} wrote something");
    said.err
}

fn replace(package: &Path, file: &str, old: &str, new: &str) {
    let path = package.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replacen(old, new, 1);
    assert_ne!(changed, text, "{old:?} is not in {file}");
    std::fs::write(path, changed).unwrap();
}

fn both(words: &[&str], spoil: impl Fn(&Path)) {
    for verb in ["render", "validate"] {
        let text = told(verb, &spoil);
        for word in words {
            assert!(text.contains(word), "{verb}: {word:?} is not in {text}");
        }
    }
}

#[test]
fn yaml_that_cannot_be_read_is_told_with_its_line() {
    both(&["service.yaml:"], |package| {
        std::fs::write(package.join("service.yaml"), "kind: Service\n  a: {\n").unwrap();
    });
    both(&["service.yaml:", "kind"], |package| {
        replace(package, "service.yaml", "kind: Service\n", "kind: Service\nkind: Service\n");
    });
}

#[test]
fn a_kptfile_says_what_it_does_not_know() {
    both(&["Kptfile:", "pipelin"], |package| replace(package, "Kptfile", "pipeline:", "pipelin:"));
    both(&["Kptfile", "frobnicate"], |package| replace(package, "Kptfile", "apply-setters", "frobnicate"));
}

#[test]
fn a_setter_without_a_value_is_named() {
    // `web:1` was not made from the pattern, so the other half cannot be read from it either.
    both(&["deployment.yaml:", "registry"], |package| {
        let path = package.join("deployment.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.contains("image:")).unwrap();
        let indent = &line[..line.len() - line.trim_start().len()];
        let spoiled = text.replace(line, &format!("{indent}image: web # kpt-set: ${{registry}}/${{image}}"));
        std::fs::write(&path, spoiled).unwrap();
    });
}

#[test]
fn nothing_outside_of_the_package_is_read() {
    both(&["Kptfile", "../secret.yaml"], |package| {
        replace(package, "Kptfile", "configPath: setters.yaml", "configPath: ../secret.yaml");
        std::fs::write(package.parent().unwrap().join("secret.yaml"), "kind: ConfigMap\n").unwrap();
    });
    both(&["link.yaml"], |package| {
        std::os::unix::fs::symlink("/etc/hostname", package.join("link.yaml")).unwrap();
    });
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    both(&["huge.yaml", "104857600 bytes", "limit"], |package| {
        std::fs::File::create(package.join("huge.yaml")).unwrap().set_len(100 << 20).unwrap();
    });
}

/// Files of a package `p`, changed by `spoil`, and all that is said of it.
type Row<'t> = (&'t [(&'t str, &'t str)], &'t str);

fn rendered(folder: &Folder) -> String {
    let said = Said::of(folder.loggia().args(["render", "p"]).output().unwrap()).failed(&[]);
    assert!(said.out.is_empty(), "{}", said.out);
    said.err
}

const HEAD: &str = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\n";

fn made(files: &[(&str, &str)]) -> Folder {
    let folder = Folder::new();
    for (path, text) in files {
        folder.write(&format!("p/{path}"), text);
    }
    folder
}

/// Row B33: rules of images, which are about those that are not built in.
#[test]
fn images_that_may_not_be_run_are_told_exactly() {
    let pipeline =
        "pipeline:\n  mutators:\n  - image: set-labels:v0.2\n    configMap: {a: b}\n  - image: r.example/team/f:v1\n";
    let folder = made(&[("Kptfile", &format!("{HEAD}{pipeline}"))]);
    for (flags, told) in [
        (
            ["--allow-image", "r.example/other", "--allow-image", "ghcr.io"].as_slice(),
            "r.example/team/f:v1 is not run: only images of r.example/other, ghcr.io are (--allow-image) \
             [fn.image_denied]",
        ),
        (
            &["--allow-image", "r.example/team", "--require-image-digests"],
            "r.example/team/f:v1 is not run: it has to be given by its digest, as IMAGE@sha256:HEX \
             [fn.image_not_pinned]",
        ),
    ] {
        for verb in [["render"].as_slice(), &["validate"], &["fn", "render"]] {
            let run = |more: &[&str]| {
                Said::of(folder.loggia().args(verb).arg("p").args(flags).args(more).output().unwrap()).failed(&[])
            };
            let said = run(if verb.len() == 1 { &["--allow-containers"] } else { &[] });
            let told = format!("p/Kptfile:9: r.example/team/f:v1: {told}\n");
            assert!(said.err.ends_with(&told), "{verb:?} {}", said.err);
            let said = run(&["--allow-alpha-wasm"]);
            assert!(said.err.ends_with(&told), "{verb:?} {}", said.err);
        }
    }
}

/// The whole of what is said, line by line.
#[test]
fn each_wrong_package_is_told_exactly() {
    let old = "apiVersion: kpt.dev/v2\nkind: Package\nmetadata:\n  name: p\npipelin: {}\n";
    let upstream = |place: &str| format!("{HEAD}upstream:\n  type: git\n  git:\n    repo: r.git\n    {place}\n");
    let lock = |commit: &str| {
        format!("{HEAD}upstreamLock:\n  type: git\n  git:\n    repo: r.git\n    directory: /\n    commit: {commit}\n")
    };
    let table: Vec<(String, &str)> = vec![
        (
            old.to_owned(),
            "p/Kptfile:1: apiVersion: apiVersion is \"kpt.dev/v2\", not kpt.dev/v1 [kptfile.version]\n\
             p/Kptfile:2: kind: kind is \"Package\", not Kptfile [kptfile.version]\n\
             p/Kptfile:5: pipelin: unknown field \"pipelin\" (allowed here: apiVersion, kind, metadata, upstream, \
             upstreamLock, info, pipeline, inventory, status) [kptfile.unknown_field]\n",
        ),
        (
            upstream("directory: ../../x"),
            "p/Kptfile:9: upstream.git.directory: path \"../../x\" is not allowed: it leaves the package (name a \
             directory of the repository) [path.escape]\n",
        ),
        (
            upstream("directory: /a/.git/hooks"),
            "p/Kptfile:9: upstream.git.directory: path \"a/.git/hooks\" is not allowed: it names .git (name a \
             directory of the repository) [path.name_invalid]\n",
        ),
        (
            upstream("directory: /\n    ref: --output=x"),
            "p/Kptfile:10: upstream.git.ref: \"--output=x\" names no branch, tag, commit or range of versions: it begins \
             with a dash or a slash, or ends with a slash or a dot [git.ref_invalid]\n",
        ),
        (
            upstream("directory: /\n    ref: +main:other"),
            "p/Kptfile:10: upstream.git.ref: \"+main:other\" is a refspec, which moves or deletes refs; name one branch, \
             tag, commit or range of versions [git.refspec_denied]\n",
        ),
        (
            lock("f00"),
            "p/Kptfile:10: upstreamLock.git.commit: \"f00\" is no commit (give the whole id, 40 or 64 hexadecimal \
             digits, or take upstreamLock away and fetch the package again) [kptfile.lock_invalid]\n",
        ),
        (
            function("image: set-labels\n    exec: x"),
            "p/Kptfile:7: pipeline.mutators.0: both image and exec are given; give one [fn.ambiguous]\n",
        ),
        (
            function("name: nothing"),
            "p/Kptfile:7: pipeline.mutators.0: neither image nor exec is given [fn.ambiguous]\n",
        ),
        (
            function("image: set-labels\n    configPath: /etc/passwd"),
            "p/Kptfile:8: pipeline.mutators.0.configPath: path \"/etc/passwd\" is not allowed: it is absolute \
             [path.escape]\n",
        ),
        (
            format!("{HEAD}pipeline:\n  mutators:\n{}", "  - image: set-labels\n".repeat(1000)),
            "p/Kptfile:1: pipeline: the pipeline has more than 100 functions [fn.limit]\n",
        ),
    ];
    for (kptfile, expected) in table {
        assert_eq!(rendered(&made(&[("Kptfile", &kptfile)])), expected);
    }
    let rows: [Row<'_>; 3] = [
        (
            &[("a.yaml", "a: 1\n")],
            "p/Kptfile:1: the package has no Kptfile (a directory becomes a package with a Kptfile) [kptfile.missing]\n",
        ),
        (&[("Kptfile", HEAD), ("kptfile", HEAD)], "p/kptfile:1: the file must be called Kptfile [kptfile.ambiguous]\n"),
        (
            &[("Kptfile", HEAD), ("sub/KPTFILE", HEAD)],
            "p/sub/KPTFILE:1: the file must be called Kptfile [kptfile.ambiguous]\n",
        ),
    ];
    for (files, expected) in rows {
        assert_eq!(rendered(&made(files)), expected);
    }
}

fn function(lines: &str) -> String {
    format!("{HEAD}pipeline:\n  mutators:\n  - {lines}\n")
}

#[test]
fn each_field_of_a_kptfile_has_its_shape() {
    let table: Vec<(String, &str)> = vec![
        (
            function("image: set-labels\n    selectors: {kind: Service}\n    exclude: {name: a}\n    configMap: [x]"),
            "p/Kptfile:8: pipeline.mutators.0.selectors: it must be a list, not a map [kptfile.value]\n\
             p/Kptfile:9: pipeline.mutators.0.exclude: it must be a list, not a map [kptfile.value]\n\
             p/Kptfile:10: pipeline.mutators.0.configMap: it must be a map, not a list [kptfile.value]\n",
        ),
        (
            function("image: set-labels\n    selectors:\n    - kind: [Service]"),
            "p/Kptfile:9: pipeline.mutators.0.selectors.0.kind: it must be a text, not a list [kptfile.value]\n",
        ),
        (
            format!(
                "{HEAD}info:\n  readinessGates: [a]\ninventory: []\nupstream: git\npipeline: []\nstatus: {{conditions: {{}}}}\n"
            ),
            "p/Kptfile:6: info.readinessGates.0: it must be a map, not a single value [kptfile.value]\n\
             p/Kptfile:7: inventory: it must be a map, not a list [kptfile.value]\n\
             p/Kptfile:8: upstream: it must be a map, not a single value [kptfile.value]\n\
             p/Kptfile:9: pipeline: it must be a map, not a list [kptfile.value]\n\
             p/Kptfile:10: status.conditions: it must be a list, not a map [kptfile.value]\n",
        ),
        (
            format!("{HEAD}pipeline:\n  mutators: {{image: set-labels}}\n"),
            "p/Kptfile:6: pipeline.mutators: it must be a list, not a map [kptfile.value]\n",
        ),
    ];
    for (kptfile, expected) in table {
        assert_eq!(rendered(&made(&[("Kptfile", &kptfile)])), expected);
    }
}

/// What a Kptfile means as a text may be written as a number or a boolean, as kpt reads it.
#[test]
fn texts_of_a_kptfile_need_no_quotes() {
    let kptfile = "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: 123\n  annotations:\n    \
                   kpt.dev/bfs-rendering: true\npipeline:\n  mutators:\n  - image: set-labels\n    tag: 0.9\n";
    let said = rendered(&made(&[("Kptfile", kptfile)]));
    assert!(said.contains("set-labels with tag 0.9 ") && !said.contains("kptfile."), "{said}");
    let outer = format!("{HEAD}  annotations:\n    kpt.dev/bfs-rendering: true\n{}", labels("root"));
    let inner = format!("{HEAD}{}", labels("sub"));
    let folder = made(&[("Kptfile", &outer), ("sub/Kptfile", &inner), ("sub/map.yaml", MAP)]);
    let said = Said::of(folder.loggia().args(["render", "p"]).output().unwrap()).fine();
    assert!(said.out.contains("of: sub"), "the outer package comes first: {}", said.out);
}

fn labels(value: &str) -> String {
    format!("pipeline:\n  mutators:\n  - image: set-labels\n    configMap:\n      of: {value}\n")
}

/// What people bring by mistake, and what is said of it.
#[test]
fn manifests_that_are_none_are_told_with_what_to_do() {
    let object = |lines: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n{lines}");
    let table = [
        (
            object("  name: n\n"),
            "p/a.yaml:4: metadata.name is false, not a text; write it in quotes [k8s.identity_missing]\n",
        ),
        (
            object("  name: 12\n"),
            "p/a.yaml:4: metadata.name is 12, not a text; write it in quotes [k8s.identity_missing]\n",
        ),
        (
            object("  generateName: a-\n"),
            "p/a.yaml:4: metadata.generateName makes another object with every apply; give metadata.name [k8s.generate_name]\n",
        ),
        (
            "apiVersion: v1\nkind: List\nitems: []\n".to_owned(),
            "p/a.yaml:2: a List has no name and is not taken apart; write its items as documents of their own [k8s.list]\n",
        ),
        (
            object("  name: a\n  uid: b\n  resourceVersion: \"5\"\n  managedFields: []\n"),
            "p/a.yaml:7: metadata.managedFields: metadata.managedFields is for the server to say; take it away [k8s.server_field]\n\
             p/a.yaml:6: metadata.resourceVersion: metadata.resourceVersion is for the server to say; take it away [k8s.server_field]\n\
             p/a.yaml:5: metadata.uid: metadata.uid is for the server to say; take it away [k8s.server_field]\n",
        ),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(&made(&[("Kptfile", HEAD), ("a.yaml", &text)])), expected);
    }
}

/// Where kpt stops at the first template, too, a chart is told from resources, and how to keep it out of them.
#[test]
fn a_helm_chart_among_the_resources_is_told_once_with_what_keeps_it_out() {
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n{{- if .Values.x }}\n";
    let chart = [("Kptfile", HEAD), ("charts/web/Chart.yaml", "apiVersion: v2\nname: web\n")];
    let whole = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"{{ .Release.Name }}\"\n";
    let table = [
        (
            vec![("charts/web/templates/a.yaml", template), ("charts/web/templates/b.yaml", template)],
            "templates/a.yaml:",
        ),
        (vec![("charts/web/templates/a.yaml", whole), ("charts/web/values.yaml", "a: 1\n")], "Chart.yaml:1: "),
    ];
    for (files, place) in table {
        let folder = made(&[&chart[..], &files].concat());
        for verb in ["render", "validate"] {
            let run = || Said::of(folder.loggia().args([verb, "p"]).output().unwrap());
            let said = run().failed(&[&format!("p/charts/web/{place}")]);
            let told = "; the file belongs to the Helm chart in charts/web (Chart.yaml beside templates/), and the files \
                        of a chart are no resources (a line /charts/web/ in .krmignore keeps them out) [package.chart]\n";
            assert_eq!(said.err.matches(told).count(), 1, "{}", said.err);
            assert_eq!(said.err.matches("[package.chart]").count(), 1, "{}", said.err);
            folder.write("p/.krmignore", "/charts/web/\n");
            run().fine();
            std::fs::remove_file(folder.path("p/.krmignore")).unwrap();
        }
    }
}

/// kpt's inventory describes what was applied, and a kind without namespaces is in none.
#[test]
fn what_is_applied_is_what_kubectl_would_send() {
    let group = "apiVersion: kpt.dev/v1alpha1\nkind: ResourceGroup\nmetadata:\n  name: inv\n  namespace: ns\n";
    let role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: r\n  namespace: ns\nrules: []\n";
    let folder = made(&[("Kptfile", HEAD), ("resourcegroup.yaml", group), ("role.yaml", role)]);
    let said = Said::of(folder.loggia().args(["render", "p"]).output().unwrap()).fine();
    assert!(said.out.contains("kind: ClusterRole") && !said.out.contains("ResourceGroup"), "{}", said.out);
    assert!(!said.out.contains("namespace: ns"), "{}", said.out);
    let said = Said::of(folder.loggia().args(["validate", "p"]).output().unwrap()).fine();
    assert!(
        said.err.contains("p/role.yaml:5: metadata.namespace: ") && said.err.contains("[k8s.scope]"),
        "{}",
        said.err
    );
}

/// Of packages that say the same id of an inventory, kpt would prune in one what it applied from the other.
#[test]
fn an_inventory_belongs_to_one_package() {
    let group = |id: &str| {
        format!(
            "apiVersion: kpt.dev/v1alpha1\nkind: ResourceGroup\nmetadata:\n  name: inv\n  namespace: ns\n  labels:\n    \
             cli-utils.sigs.k8s.io/inventory-id: {id}\n"
        )
    };
    let with = |id: &str| format!("{HEAD}inventory:\n  namespace: ns\n  name: inv\n  inventoryID: {id}\n");
    let (own, other) = (group("one"), group("two"));
    let files = [
        ("Kptfile", with("one")),
        ("resourcegroup.yaml", own.clone()),
        ("a/Kptfile", with("one")),
        ("b/Kptfile", HEAD.to_owned()),
        ("b/sub/resourcegroup.yaml", own),
        ("c/Kptfile", with("three")),
        ("c/d/Kptfile", HEAD.to_owned()),
        ("c/d/resourcegroup.yaml", other.clone()),
        ("c/e/Kptfile", with("two")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let folder = made(&files);
    let said = Said::of(folder.loggia().args(["validate", "p"]).output().unwrap()).failed(&[]);
    let hint = "(give each package an id of its own; kpt would prune what the other applied) [inventory.conflict]";
    let label = "metadata.labels.cli-utils.sigs.k8s.io/inventory-id";
    let twice = "(keep one of the two; kpt refuses a package with both) [inventory.conflict]";
    let expected = format!(
        "p/resourcegroup.yaml:7: {label}: the package has an inventory in Kptfile:8, too {twice}\n\
         p/a/Kptfile:8: inventory.inventoryID: the id \"one\" is that of the inventory in Kptfile:8 {hint}\n\
         p/b/sub/resourcegroup.yaml:7: {label}: the id \"one\" is that of the inventory in Kptfile:8 {hint}\n\
         p/c/e/Kptfile:8: inventory.inventoryID: the id \"two\" is that of the inventory in \
         c/d/resourcegroup.yaml:7 {hint}\n"
    );
    assert!(said.err.starts_with(&expected), "{}", said.err);
    let alone = made(&[("Kptfile", HEAD), ("resourcegroup.yaml", &other)]);
    Said::of(alone.loggia().args(["validate", "p"]).output().unwrap()).fine();
}

/// A value of a Secret is not shown where something else is wrong.
#[test]
fn no_problem_shows_a_secret() {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  password: hunter2hunter2\n";
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  b: [hunter2hunter2]\n";
    let folder = made(&[("Kptfile", HEAD), ("s.yaml", secret), ("c.yaml", map)]);
    for more in [&[][..], &["-o", "json"]] {
        let said = Said::of(folder.loggia().args(["validate", "p"]).args(more).output().unwrap()).failed(&[]);
        let all = said.out + &said.err;
        assert!(all.contains("c.yaml") && !all.contains("hunter2"), "{all}");
    }
}

#[test]
fn packages_without_end_are_refused() {
    let deep = format!("{}Kptfile", "d/".repeat(100));
    let expected = format!(
        "p/{}:1: subpackages are nested deeper than 32 [package.depth_limit]\n",
        deep.trim_end_matches("/Kptfile")
    );
    assert_eq!(rendered(&made(&[("Kptfile", HEAD), (&deep, HEAD)])), expected);
    let many: String =
        (0..5001).map(|number| format!("---\napiVersion: v1\nkind: A\nmetadata: {{name: n{number}}}\n")).collect();
    let expected = "p/b.yaml:1: the package has more than 10000 objects, counted up to here (divide it, or leave files out by \
                    .krmignore) [package.object_limit]\n";
    assert_eq!(rendered(&made(&[("Kptfile", HEAD), ("a.yaml", &many), ("b.yaml", &many)])), expected);
}

#[test]
fn links_are_kept_only_where_they_stay_inside() {
    let told = |links: &[(&str, &str)]| {
        let folder = made(&[("Kptfile", HEAD), ("conf/map.yaml", MAP)]);
        for (path, target) in links {
            std::os::unix::fs::symlink(target, folder.path("p").join(path)).unwrap();
        }
        folder
    };
    let inside = told(&[("directory", "conf"), ("file.txt", "conf/map.yaml")]);
    let said = Said::of(inside.loggia().args(["fn", "render", "p"]).output().unwrap()).fine();
    assert!(said.out.is_empty(), "{}", said.out);
    assert_eq!(std::fs::read_link(inside.path("p/directory")).unwrap(), Path::new("conf"));
    let out = |path: &str, target: &str, why: &str| {
        format!("p/{path}:1: it is a symbolic link to {target:?}, {why} (put the file itself there) [path.symlink]\n")
    };
    let outside = "which is outside of the package";
    let table = [
        (vec![("a", "../secret")], out("a", "../secret", outside)),
        (vec![("a.yaml", "/etc/passwd")], out("a.yaml", "/etc/passwd", outside)),
        (vec![("root", "."), ("a", "root/../x")], out("a", "root/../x", outside)),
        (vec![("a", "a")], out("a", "a", "which leads in circles")),
        (
            vec![("a.yaml", "conf/map.yaml")],
            "p/a.yaml:1: it is a symbolic link to \"conf/map.yaml\" (resources are no links; put the file itself \
             there) [path.symlink]\n"
                .to_owned(),
        ),
    ];
    for (links, expected) in table {
        assert_eq!(rendered(&told(&links)), expected, "{links:?}");
    }
}

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\n";

/// Names that a terminal or another system would take for something else.
#[test]
fn names_of_files_are_told_without_their_escape_codes() {
    use std::os::unix::ffi::OsStrExt as _;
    let control = "it holds a control character or a backslash";
    let table: [(&[u8], &str, &str); 7] = [
        (b"a\nb.yaml", r"p/a\nb.yaml", control),
        (b"\x1b[31mred.yaml", r"p/\x1b[31mred.yaml", control),
        (b"a\\b.yaml", r"p/a\b.yaml", control),
        (b"end.", "p/end.", "a part ends with a dot or a space"),
        (b"end ", "p/end ", "a part ends with a dot or a space"),
        (b"CON", "p/CON", "a part is the name of a device on Windows"),
        (b"caf\xe9.yaml", r"p/caf\xe9.yaml", "its name is not UTF-8"),
    ];
    for (name, shown, why) in table {
        let folder = made(&[("Kptfile", HEAD)]);
        std::fs::write(folder.path("p").join(std::ffi::OsStr::from_bytes(name)), "a: 1\n").unwrap();
        for verb in [&["render", "p"][..], &["fn", "render", "p"], &["pkg", "tree", "p"], &["fn", "source", "p"]] {
            let said = Said::of(folder.loggia().args(verb).output().unwrap()).failed(&[]);
            let path = if verb == ["fn", "render", "p"] {
                shown.replacen("p/", &format!("{}/p/", folder.root().canonicalize().unwrap().display()), 1)
            } else {
                shown.to_owned()
            };
            let expected = format!("loggia: cannot read {path}: {why}; rename it [path.name_invalid]\n");
            assert_eq!(said.err, expected, "{verb:?}");
        }
    }
}

#[test]
fn only_files_directories_and_links_are_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = made(&[("Kptfile", HEAD)]);
    let special = "is neither a file nor a directory nor a link; move it away [path.file_type]";
    let socket = std::os::unix::net::UnixListener::bind(folder.path("p/socket")).unwrap();
    assert_eq!(rendered(&folder), format!("loggia: p/socket {special}\n"));
    drop(socket);
    std::fs::remove_file(folder.path("p/socket")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(folder.path("p/pipe")).status().unwrap();
    assert!(made.success());
    assert_eq!(rendered(&folder), format!("loggia: p/pipe {special}\n"));
    std::fs::remove_file(folder.path("p/pipe")).unwrap();
    folder.program("p/run.sh", "true");
    std::fs::set_permissions(folder.path("p/run.sh"), std::fs::Permissions::from_mode(0o4755)).unwrap();
    let expected = "loggia: p/run.sh runs with the rights of its owner or group; take them away with chmod ug-s \
                    [path.file_type]\n";
    assert_eq!(rendered(&folder), expected);
}
