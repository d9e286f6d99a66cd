//! Laws of rendering, on packages that are made up: the order in which files come does not count, what no function was
//! asked to touch stays the same bytes, how lines end stays too, and rendering twice is rendering once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use loggia::domain::krm::document::{Limits, YamlFile};
use loggia::domain::package::{Catalog, render};
use loggia::domain::source::{File, FileMode, FileTree};
use proptest::prelude::*;

/// One resource, as somebody may have written it.
#[derive(Debug, Clone)]
struct Document {
    name: String,
    /// Whether the functions of the pipeline are asked to change it.
    touched: bool,
    indent: usize,
    flow: bool,
    comments: bool,
    /// What stands in front of it when it is not the first.
    mark: &'static str,
}

/// A file of resources.
#[derive(Debug, Clone)]
struct Manifest {
    directory: &'static str,
    documents: Vec<Document>,
    windows: bool,
    /// Whether the last line has no end.
    open: bool,
    bom: bool,
}

#[derive(Debug, Clone)]
struct Package {
    manifests: Vec<Manifest>,
    others: Vec<(String, FileMode, Vec<u8>)>,
    pipeline: Vec<usize>,
    nested: Vec<usize>,
}

/// Functions that do the same thing again when they are run again.
const FUNCTIONS: [&str; 6] = [
    "image: set-labels:v0.2\n    configMap: {tier: edge}",
    "image: set-annotations\n    configMap: {example.com/owner: \"team: a\"}",
    "image: set-namespace:v0.4.1\n    configMap: {namespace: core}",
    "image: apply-setters:v0.2\n    configMap: {level: \"yes\", count: \"7\"}",
    "image: search-replace\n    configMap: {by-path: data.plain, put-value: changed}",
    "image: format\n    configMap: {}",
];
/// The last one of them writes fields in another order, which is its task.
const FORMAT: usize = 5;

impl Document {
    fn text(&self) -> String {
        let pad = " ".repeat(self.indent);
        let say = |text: &'static str| if self.comments { text } else { "" };
        let labels = match (self.touched, self.flow) {
            (true, true) => format!("{pad}labels: {{  touch: \"yes\" }}\n"),
            (true, false) => format!("{pad}labels:\n{pad}{pad}touch: 'yes'{}\n", say("   # asked for")),
            _ => String::new(),
        };
        format!(
            "{above}apiVersion: v1\nkind:   ConfigMap{kind}\nmetadata:\n{pad}name: {name}\n{labels}data:\n{pad}\"quoted\":   \
             'it''s'\n{pad}plain: {plain}\n{pad}level: \"off\" # kpt-set: ${{level}}\n{pad}block: |\n{pad}{pad}one\n\
             {pad}{pad}  two # no comment\n{inner}{pad}number: \"1.0\"\n",
            above = say("# above\n\n"),
            kind = say("  # what it is"),
            name = self.name,
            plain = if self.flow { "\"{a: b}\"" } else { "text" },
            inner = say("      # deep inside\n"),
        )
    }
}

impl Manifest {
    /// The file, and the text of each document in it.
    fn text(&self) -> (Vec<u8>, Vec<String>) {
        let mut texts: Vec<String> = self.documents.iter().map(Document::text).collect();
        if let (true, Some(last)) = (self.open, texts.last_mut()) {
            last.pop();
        }
        if self.windows {
            for text in &mut texts {
                *text = text.replace('\n', "\r\n");
            }
        }
        let end = if self.windows { "\r\n" } else { "\n" };
        let mut whole = if self.bom { "\u{feff}".to_owned() } else { String::new() };
        for (index, (document, text)) in self.documents.iter().zip(&texts).enumerate() {
            if index > 0 {
                whole.push_str(&format!("{}{end}", document.mark));
            }
            whole.push_str(text);
        }
        (whole.into_bytes(), texts)
    }

    fn path(&self, index: usize) -> String {
        let slash = if self.directory.is_empty() { "" } else { "/" };
        format!("{}{slash}m{index}.yaml", self.directory)
    }
}

impl Package {
    fn files(&self) -> Vec<(String, File)> {
        let kptfile = |name: &str, pipeline: &[usize]| {
            let head = format!("# about\napiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: {name}\n");
            let selector = "\n    selectors:\n    - labels: {touch: \"yes\"}\n";
            let list: String = pipeline.iter().map(|at| format!("  - {}{selector}", FUNCTIONS[*at])).collect();
            if list.is_empty() { head } else { format!("{head}pipeline:\n  mutators:\n{list}") }
        };
        let plain = |path: &str, text: String| (path.to_owned(), File::regular(text.into_bytes()));
        let mut files =
            vec![plain("Kptfile", kptfile("p", &self.pipeline)), plain("sub/Kptfile", kptfile("sub", &self.nested))];
        for (index, manifest) in self.manifests.iter().enumerate() {
            files.push((manifest.path(index), File::regular(manifest.text().0)));
        }
        for (path, mode, bytes) in &self.others {
            files.push((path.clone(), File { mode: *mode, bytes: bytes.as_slice().into() }));
        }
        files
    }

    fn tree(&self) -> FileTree {
        tree(&self.files())
    }

    /// The same without `format` before others: what is added behind it is only sorted the next time.
    fn settling(mut self) -> Self {
        self.nested.retain(|function| *function != FORMAT);
        let last = self.pipeline.pop();
        self.pipeline.retain(|function| *function != FORMAT);
        self.pipeline.extend(last);
        self
    }

    /// Functions that a manifest is seen by.
    fn functions(&self, manifest: &Manifest) -> Vec<usize> {
        let nested = if manifest.directory.starts_with("sub") { self.nested.as_slice() } else { &[] };
        self.pipeline.iter().chain(nested).copied().collect()
    }
}

fn tree(files: &[(String, File)]) -> FileTree {
    let mut tree = FileTree::new();
    for (path, file) in files {
        tree.insert(path.clone(), file.clone()).unwrap();
    }
    tree
}

fn document() -> impl Strategy<Value = Document> {
    (any::<bool>(), 1_usize..5, any::<bool>(), any::<bool>(), prop::sample::select(vec!["---", "--- # next"])).prop_map(
        |(touched, indent, flow, comments, mark)| Document {
            name: String::new(),
            touched,
            indent,
            flow,
            comments,
            mark,
        },
    )
}

fn manifest() -> impl Strategy<Value = Manifest> {
    let directory = prop::sample::select(vec!["", "a", "sub", "sub/deep", "z.d"]);
    (directory, prop::collection::vec(document(), 1..4), any::<bool>(), any::<bool>(), any::<bool>())
        .prop_map(|(directory, documents, windows, open, bom)| Manifest { directory, documents, windows, open, bom })
}

fn other() -> impl Strategy<Value = (String, FileMode, Vec<u8>)> {
    let name =
        prop::sample::select(vec!["README.md", "a/logo.png", "sub/run.sh", "notes", "values.toml", "z/x.yaml.tpl"]);
    let mode = prop::sample::select(vec![FileMode::Regular, FileMode::Executable]);
    (name, mode, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(name, mode, bytes)| (name.to_owned(), mode, bytes))
}

fn pipeline() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..FUNCTIONS.len(), 0..4)
}

fn package() -> impl Strategy<Value = Package> {
    (prop::collection::vec(manifest(), 1..5), prop::collection::vec(other(), 0..4), pipeline(), pipeline()).prop_map(
        |(mut manifests, others, pipeline, nested)| {
            let documents = manifests.iter_mut().flat_map(|manifest| manifest.documents.iter_mut());
            for (number, document) in documents.enumerate() {
                document.name = format!("n{number}");
            }
            // One file a name.
            let mut names = std::collections::BTreeSet::new();
            let others = others.into_iter().filter(|(name, ..)| names.insert(name.clone())).collect();
            Package { manifests, others, pipeline, nested }
        },
    )
}

/// What is said of a document that should have stayed as it was.
fn lost<'t>(before: &'t [String], after: &str, documents: &[Document]) -> Option<&'t String> {
    before
        .iter()
        .zip(documents)
        .find(|(text, document)| !document.touched && !after.contains(text.as_str()))
        .map(|(text, _)| text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A file system, an archive and a repository list files in orders of their own.
    #[test]
    fn the_order_of_files_does_not_count(package in package(), seed in any::<u64>()) {
        let files = package.files();
        let mut other = files.clone();
        // Any permutation: by a key that has nothing to do with names.
        other.sort_by_key(|(path, _)| path.bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))));
        let told = |files: &[(String, File)]| render(&tree(files), &Catalog).map_err(|error| error.to_string());
        prop_assert_eq!(told(&files), told(&other));
        let reversed: Vec<_> = files.iter().rev().cloned().collect();
        prop_assert_eq!(told(&files), told(&reversed));
    }

    #[test]
    fn what_no_function_was_asked_to_touch_stays_as_it_is(package in package()) {
        let tree = package.tree();
        let rendered = render(&tree, &Catalog).unwrap().tree;
        for (path, mode, bytes) in &package.others {
            // The last one of the same name is what is there.
            let file = tree.get(path).unwrap();
            prop_assert_eq!(rendered.get(path), Some(file), "{} {:?} {:?}", path, mode, bytes);
        }
        for path in ["Kptfile", "sub/Kptfile"] {
            prop_assert_eq!(rendered.get(path), tree.get(path));
        }
        prop_assert_eq!(rendered.len(), tree.len());
        for (index, manifest) in package.manifests.iter().enumerate() {
            let path = manifest.path(index);
            let functions = package.functions(manifest);
            let (before, texts) = manifest.text();
            let after = rendered.get(&path).unwrap().bytes.to_vec();
            let is_touched = manifest.documents.iter().any(|document| document.touched);
            if functions.is_empty() || !is_touched {
                prop_assert_eq!(String::from_utf8(before).unwrap(), String::from_utf8(after).unwrap(), "{}", path);
                continue;
            }
            let after = String::from_utf8(after).unwrap();
            prop_assert_eq!(after.starts_with('\u{feff}'), manifest.bom, "{}", path);
            let bare = after.replace("\r\n", "");
            let other_ends: &[char] = if manifest.windows { &['\r', '\n'] } else { &['\r'] };
            prop_assert!(!bare.contains(other_ends), "{}: line ends of another kind:\n{:?}", path, after);
            prop_assert_eq!(lost(&texts, &after, &manifest.documents), None, "{}:\n{}", path, after);
            if !functions.contains(&FORMAT) {
                // Of what was touched, each line that no function is about.
                for line in texts.iter().flat_map(|text| text.split_inclusive('\n')) {
                    let about = ["labels", "touch", "plain", "level", "metadata", "name"];
                    prop_assert!(
                        about.iter().any(|word| line.contains(word)) || after.contains(line.trim_end_matches(['\r', '\n'])),
                        "{:?} is gone from {}:\n{}", line, path, after
                    );
                }
            }
        }
    }

    #[test]
    fn rendering_twice_is_rendering_once(package in package()) {
        let package = package.settling();
        let once = render(&package.tree(), &Catalog).unwrap();
        let twice = render(&once.tree, &Catalog).unwrap();
        prop_assert_eq!(twice.objects, once.objects);
        for ((path, first), (_, second)) in once.tree.iter().zip(twice.tree.iter()) {
            prop_assert_eq!(
                String::from_utf8_lossy(&first.bytes), String::from_utf8_lossy(&second.bytes), "{}", path
            );
        }
        prop_assert_eq!(twice.tree, once.tree);
    }
}

/// Texts that some reader takes for something else.
const TYPED: [&str; 44] = [
    "y",
    "n",
    "Y",
    "no",
    "off",
    "on",
    "yes",
    "true",
    "False",
    "null",
    "~",
    "1e3",
    "5",
    "05",
    "0x1f",
    "1_000",
    "1.0",
    ".5",
    "-1",
    "+1",
    "1:30",
    "2026-11-22",
    "=",
    "<<",
    "0b1",
    "0o7",
    ".inf",
    ".nan",
    "1e-3",
    "- a",
    "a: b",
    "#",
    "a #b",
    "[a]",
    "{a}",
    "*a",
    "&a",
    "!a",
    "|",
    "%",
    "@a",
    "'",
    "---",
    "...",
];

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(&TYPED[..]).prop_map(str::to_owned), "[ -#%-~é]{0,8}[!-#%-~é]"]
}

/// The first document of a file as three decoders read it.
fn decoded(bytes: &[u8]) -> [serde_json::Value; 3] {
    let text = std::str::from_utf8(bytes).unwrap();
    let ours = YamlFile::parse(bytes, &Limits::default()).unwrap().value(0).unwrap();
    [ours, serde_saphyr::from_str(text).unwrap(), serde_yaml::from_str(text).unwrap()]
}

/// A function that writes `text`, what it is called on, and where the text must be then.
fn writers(text: &str, style: &str) -> Vec<(String, String, &'static str)> {
    let json = serde_json::to_string(text).unwrap();
    let old = style.replace('_', "old");
    let head = "apiVersion: a.example/v1\nkind: K\nmetadata:\n  name: r\n";
    let pod = format!("apiVersion: v1\nkind: Pod\nmetadata:\n  name: r\nspec:\n  containers:\n  - image: {old}\n");
    let row = |function: String, resource: String, pointer| (function, resource, pointer);
    vec![
        row(format!("image: set-labels\n    configMap: {{k: {json}}}"), head.to_owned(), "/metadata/labels/k"),
        row(
            format!("image: set-labels\n    configMap: {{k: {json}}}"),
            format!("{head}  labels:\n    k: {old}\n"),
            "/metadata/labels/k",
        ),
        row(
            format!("image: set-annotations\n    configMap: {{k: {json}}}"),
            format!("{head}  annotations: {{k: {old}}}\n"),
            "/metadata/annotations/k",
        ),
        row(
            format!("image: set-image\n    configMap: {{name: old, newName: {json}}}"),
            pod,
            "/spec/containers/0/image",
        ),
        row(
            format!("image: apply-setters\n    configMap: {{s: {json}}}"),
            format!("{head}f: {old} # kpt-set: ${{s}}\n"),
            "/f",
        ),
        row(
            format!("image: search-replace\n    configMap: {{by-path: f.g, put-value: {json}}}"),
            format!("{head}f: {{g: {old}}}\n"),
            "/f/g",
        ),
        row(
            format!(
                "image: search-replace\n    configMap: {{by-path: metadata.annotations.k, by-file-path: r.yaml, \
                 put-value: {json}}}"
            ),
            head.to_owned(),
            "/metadata/annotations/k",
        ),
    ]
}

fn written(function: &str, resource: &str, more: Option<&str>) -> Option<Vec<u8>> {
    let mut tree = FileTree::new();
    let kptfile = format!(
        "apiVersion: kpt.dev/v1\nkind: Kptfile\nmetadata:\n  name: p\npipeline:\n  mutators:\n  - {function}\n"
    );
    tree.insert("Kptfile", File::regular(kptfile.into_bytes())).unwrap();
    tree.insert("r.yaml", File::regular(resource.as_bytes().to_vec())).unwrap();
    if let Some(more) = more {
        tree.insert("more.yaml", File::regular(more.as_bytes().to_vec())).unwrap();
    }
    let rendered = render(&tree, &Catalog).unwrap_or_else(|error| panic!("{function}\n{resource}\n{error}"));
    rendered.tree.get("r.yaml").map(|file| file.bytes.to_vec())
}

fn says(bytes: &[u8], pointer: &str, text: &str, about: &str) {
    for (decoder, value) in decoded(bytes).iter().enumerate() {
        let found = value.pointer(pointer).and_then(serde_json::Value::as_str);
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(found, Some(text), "decoder {decoder} of {about}:\n{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What a function is told to write as a text is that text to every reader, however the old one was written.
    #[test]
    fn a_text_stays_the_text_it_is(
        text in texts(),
        style in proptest::sample::select(&["_", "'_'", "\"_\""][..]),
    ) {
        for (function, resource, pointer) in writers(&text, style) {
            says(&written(&function, &resource, None).unwrap(), pointer, &text, &function);
        }
        let json = serde_json::to_string(&text).unwrap();
        let upsert = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: r, annotations: {{config.kubernetes.io/local-config: \
             \"true\"}}}}\ndata: {{k: {json}}}\n"
        );
        let old = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: r}\n";
        let function = "image: upsert-resource\n    configPath: more.yaml";
        says(&written(function, old, Some(&upsert)).unwrap(), "/data/k", &text, function);
    }

    /// So are names of namespaces and prefixes of names, which take fewer letters.
    #[test]
    fn a_name_stays_the_name_it_is(
        name in prop_oneof![
            proptest::sample::select(&["y", "n", "no", "off", "on", "yes", "true", "null", "1e3", "5", "05", "0x1f", "0b1"][..])
                .prop_map(str::to_owned),
            "[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?",
        ],
        style in proptest::sample::select(&["_", "'_'", "\"_\""][..]),
    ) {
        let old = style.replace('_', "old");
        let resource = format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {old}\n  namespace: {old}\n");
        let absent = format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {old}}}\n");
        for version in ["", ":v0.1", ":v0.3", ":v0.4"] {
            let function = format!("image: set-namespace{version}\n    configMap: {{namespace: \"{name}\"}}");
            // v0.3 gives no namespace to what has none.
            for resource in [&resource, &absent].into_iter().take(if version == ":v0.3" { 1 } else { 2 }) {
                says(&written(&function, resource, None).unwrap(), "/metadata/namespace", &name, &function);
            }
        }
        let function = format!("image: set-name-prefix\n    configMap: {{prefix: \"{name}\", oldPrefix: old}}");
        for resource in [&resource, &absent] {
            says(&written(&function, resource, None).unwrap(), "/metadata/name", &name, &function);
        }
    }
}
