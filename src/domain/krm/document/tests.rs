use super::*;
use serde_json::json;

mod edits;
mod vectors;

fn parse(text: &str) -> YamlFile {
    YamlFile::parse(text.as_bytes(), &Limits::default()).unwrap()
}

fn value(text: &str) -> Value {
    parse(text).value(0).unwrap()
}

fn refused(text: &str) -> DocumentError {
    match YamlFile::parse(text.as_bytes(), &Limits::default()) {
        Err(error) => error,
        Ok(file) => file.values().unwrap_err(),
    }
}

/// Observed of a kube-apiserver.
#[test]
fn of_keys_that_are_written_twice_the_last_counts_for_lenient_readers() {
    let text = "spec:\n  a: 1\n  b: 1\nspec:\n  b: {x: 1, x: 2}\n1: y\n1: z\n";
    let (file, again) = YamlFile::parse_leniently(text.as_bytes(), &Limits::default()).unwrap();
    assert_eq!(file.value(0).unwrap(), json!({"spec": {"b": {"x": 2}}, "1": "z"}));
    let told = again.iter().map(ToString::to_string).collect::<Vec<_>>();
    let expected = [
        r#"line 5: key "x" already set in map"#,
        r#"line 5: key "spec" already set in map"#,
        "line 7: key 1 already set in map",
    ];
    assert_eq!(told, expected);
    assert_eq!(refused(text).code, "yaml.duplicate_key");
}

/// What Go's `sigs.k8s.io/yaml` makes of these (reference: the probe table in the crate notes).
#[test]
fn scalars_mean_what_kubernetes_reads() {
    let table = [
        ("yes", json!(true)),
        ("on", json!(true)),
        ("y", json!(true)),
        ("NO", json!(false)),
        ("0755", json!(493)),
        ("010", json!(8)),
        ("08", json!(8)),
        ("1_000", json!(1000)),
        ("0x1F", json!(31)),
        ("12:30:45", json!("12:30:45")),
        ("1:30", json!("1:30")),
        ("2001-12-14", json!("2001-12-14")),
        ("1e400", json!("1e400")),
        ("1.5", json!(1.5)),
        ("-3", json!(-3)),
        ("1.2.3", json!("1.2.3")),
        ("~", Value::Null),
        ("", Value::Null),
        ("\"yes\"", json!("yes")),
        ("'010'", json!("010")),
        ("!!str 5", json!("5")),
        ("1.4.2", json!("1.4.2")),
        ("-", json!([null])),
    ];
    for (text, expected) in table {
        if text == "-" {
            assert_eq!(value("v:\n-"), json!({"v": expected}), "{text}");
            continue;
        }
        assert_eq!(value(&format!("v: {text}")), json!({"v": expected}), "{text}");
    }
    assert_eq!(value("base: &b {a: 1}\nuse:\n  <<: *b\n  c: 2"), json!({"base": {"a": 1}, "use": {"a": 1, "c": 2}}));
    assert_eq!(value("base: &b {a: 1}\nuse:\n  c: 2\n  <<: *b\n  a: 3")["use"], json!({"a": 3, "c": 2}));
    assert_eq!(value("a: !!map {b: !!seq [1]}"), json!({"a": {"b": [1]}}));
    assert_eq!(value("1: a\ntrue: b"), json!({"1": "a", "true": "b"}));
    assert_eq!(value("\"<<\": {a: 1}\nb: 2"), json!({"<<": {"a": 1}, "b": 2}));
}

#[test]
fn what_is_refused_names_place_and_rule() {
    let table = [
        ("a: 1\nb: 2\na: 3", "yaml.duplicate_key", 3),
        ("a: !!python/object x", "yaml.tag_not_allowed", 1),
        ("a: !include x", "yaml.tag_not_allowed", 1),
        ("a: .inf", "yaml.number", 1),
        ("a:\n\tb: 1", "yaml.syntax", 2),
        ("a: \"open", "yaml.syntax", 1),
        ("a: *nobody", "yaml.alias", 1),
        ("<<: 5", "yaml.merge", 1),
        ("base: &b {a: 1}\nuse:\n  a: 2\n  <<: *b", "yaml.merge", 4),
        ("a: !!omap {b: 1}", "yaml.tag_not_allowed", 1),
        ("a: !cfnmap {b: 1}", "yaml.tag_not_allowed", 1),
        ("a: !myseq [1]", "yaml.tag_not_allowed", 1),
    ];
    for (text, code, line) in table {
        let error = refused(text);
        assert_eq!((error.code, error.line), (code, line), "{text:?}: {error}");
    }
    assert!(refused("a:\n\tb: 1").message.contains("tabs"), "{}", refused("a:\n\tb: 1"));
    let both = refused("a: 1\nb: 2\na: 3").message;
    assert!(both.contains("lines 1 and 3"), "{both}");
}

#[test]
fn bombs_and_giants_are_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..10 {
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", ")));
    }
    let limited = |text: &str| (refused(text).code, refused(text).message);
    let (code, message) = limited(&bomb);
    assert!(code == "yaml.alias_limit" && message.contains("more than 1000000 values"), "{message}");
    let (code, message) = limited(&"[".repeat(10_000));
    assert!(code == "yaml.depth_limit" && message.contains("deeper than 64"), "{message}");
    assert_eq!(refused(&format!("a: {}", "x".repeat(5 << 20))).code, "yaml.size_limit");
    assert_eq!(refused(&"--- 1\n".repeat(10_001)).code, "yaml.document_limit");
    assert_eq!(refused(&"---\n".repeat(10_001)).code, "yaml.document_limit", "empty ones count, too");
    assert_eq!(YamlFile::parse(b"a: \xFF", &Limits::default()).unwrap_err().code, "yaml.encoding");
    assert_eq!(YamlFile::parse(b"\xFF\xFEa\0", &Limits::default()).unwrap_err().code, "yaml.encoding");
}

#[test]
fn a_quote_that_is_not_closed_is_told_where_it_opens() {
    let table = [
        ("a: 1\nb: \"x\nc: y\n", (2, 4)),
        ("a: 'it is' # \"so\"\nlist:\n- x\n- 'open\n- y\n", (4, 3)),
        ("{a: 'x', b: \"open", (1, 13)),
        ("\"open", (1, 1)),
        ("\"open: 1\nb: 2\n", (1, 1)),
    ];
    for (text, at) in table {
        let error = refused(text);
        assert_eq!((error.code, (error.line, error.column)), ("yaml.syntax", at), "{text:?}: {error}");
        assert!(error.message.contains("not closed"), "{error}");
    }
}

#[test]
fn half_a_character_is_none() {
    for text in [r#"a: "\ud83d\ude00""#, r#"{"a": "\\\uD83D\uDE00"}"#] {
        assert!(refused(text).message.contains("invalid Unicode"), "{text}");
    }
    assert_eq!(refused(r#"a: "\U0000dc00""#).code, "yaml.syntax");
    assert!(YamlFile::parse(br#"a: "\\ud83d" # "\ud83d""#, &Limits::default()).is_ok(), "a backslash and letters");
}

#[test]
fn errors_name_the_path_to_the_field() {
    let table = [
        ("spec:\n  a:\n  - b: 1\n  - b: .inf", "spec.a[1].b", 4),
        ("spec:\n  b: 1\n  b: 2", "spec", 3),
        ("a: {b: [x, !!int y]}", "a.b[1]", 1),
        ("a:\n  - - !include x", "a[0][0]", 2),
        ("a:\n  b:\n    ~: 1", "a.b", 3),
        ("a:\n  <<: 5", "a.<<", 2),
        ("- a\n- b: *c", "[1].b", 2),
        (".inf", "", 1),
    ];
    for (text, path, line) in table {
        let error = refused(text);
        assert_eq!((error.path.as_str(), error.line), (path, line), "{text:?}: {error}");
        assert!(path.is_empty() || error.to_string().ends_with(&format!(" (in {path})")), "{error}");
    }
}

#[test]
fn budgets_hold_at_their_border() {
    let usual = Limits::default();
    let table = [
        (Limits { bytes: 5, ..usual }, "a: 12", "a: 123", "yaml.size_limit"),
        (Limits { documents: 2, ..usual }, "--- 1\n--- 2\n", "--- 1\n--- 2\n--- 3\n", "yaml.document_limit"),
        (Limits { depth: 3, ..usual }, "[[x]]", "[[[x]]]", "yaml.depth_limit"),
        (Limits { nodes: 3, ..usual }, "[a, b]", "[a, b, c]", "yaml.node_limit"),
        (Limits { aliases: 2, ..usual }, "[&a x, *a, *a]", "[&a x, *a, *a, *a]", "yaml.alias_limit"),
        (Limits { nodes: 14, ..usual }, "[&a [w, x, y, z], *a]", "[&a [w, x, y, z], *a, *a]", "yaml.alias_limit"),
    ];
    for (limits, fits, exceeds, code) in table {
        assert!(YamlFile::parse(fits.as_bytes(), &limits).is_ok_and(|file| file.values().is_ok()), "{code}");
        let error = YamlFile::parse(exceeds.as_bytes(), &limits).and_then(|file| file.values()).unwrap_err();
        assert_eq!(error.code, code);
        let number = [limits.bytes, limits.documents, limits.depth, limits.nodes, limits.aliases];
        assert!(
            number.iter().any(|limit| error.message.contains(&limit.to_string())) || code == "yaml.alias_limit",
            "{error}"
        );
    }
}

/// Copies of anchored values count, or fifty anchors around one list would hold it fifty times.
#[test]
fn nested_anchors_are_no_way_around_the_budget() {
    let open: String = (0..50).map(|n| format!("&a{n} [")).collect();
    let bomb = format!("{open}{}x{}", "x, ".repeat(100_000), "]".repeat(50));
    assert_eq!(refused(&bomb).code, "yaml.node_limit");
}

#[test]
fn large_definitions_have_a_larger_budget_that_ends() {
    let deep = |levels: usize| format!("{}x{}", "{properties: ".repeat(levels), "}".repeat(levels));
    let large = format!("- {{name: field, description: {}}}\n", "what it is for ".repeat(400)).repeat(1000);
    for text in [deep(100), large] {
        assert!(YamlFile::parse(text.as_bytes(), &Limits::default()).is_err());
        YamlFile::parse(text.as_bytes(), &Limits::DEFINITIONS).unwrap().values().unwrap();
    }
    let beyond = YamlFile::parse(deep(128).as_bytes(), &Limits::DEFINITIONS).unwrap_err();
    assert_eq!(beyond.code, "yaml.depth_limit");
}

#[test]
fn a_text_that_marks_the_end_of_a_document_is_quoted() {
    for text in ["...", "... a", "---", "--- a"] {
        assert_eq!(value(&to_yaml(&json!(text))), json!(text));
    }
}

#[test]
fn documents_are_split_and_empty_ones_skipped() {
    let file = parse("---\n# nothing\n---\na: 1\n---\n---\nb: 2 # note\n...\n");
    assert_eq!(file.values().unwrap(), [json!({"a": 1}), json!({"b": 2})]);
    assert_eq!(file.documents()[1].line, 7);
    assert_eq!(file.comment(7), Some("note"));
    assert_eq!(value("{\"a\": [1, \"yes\"]}"), json!({"a": [1, "yes"]}));
}

const DEPLOYMENT: &str = "# a person's words
apiVersion: apps/v1
kind: Deployment
metadata: # who
  name: upf   # kept
  labels: {app: upf}
spec:
  replicas: 2 # kpt-set: ${replicas}
  template:
    spec:
      containers:
      - name: upf
        image: \"registry.example/upf:1.4.2\"
        args: []
      - name: side

# the end
";

#[test]
fn edits_touch_only_what_they_mean() {
    let mut file = parse(DEPLOYMENT);
    assert!(file.set(0, &["spec", "replicas"], &json!(3)).unwrap());
    assert!(file.set(0, &["metadata", "namespace"], &json!("core")).unwrap());
    assert!(file.set(0, &["metadata", "labels", "tier"], &json!("edge")).unwrap());
    assert!(file.set(0, &["metadata", "annotations", "a/b"], &json!("yes")).unwrap());
    assert!(file.set(0, &["spec", "template", "spec", "containers", "0", "image"], &json!("x:2")).unwrap());
    assert!(!file.set(0, &["kind"], &json!("Deployment")).unwrap());
    let expected = DEPLOYMENT
        .replace("replicas: 2 #", "replicas: 3 #")
        .replace("{app: upf}\n", "{app: upf, tier: edge}\n  namespace: core\n  annotations:\n    a/b: \"yes\"\n")
        .replace("\"registry.example/upf:1.4.2\"", "x:2");
    assert_eq!(file.text(), expected);
}

#[test]
fn keys_go_with_their_lines() {
    let mut file = parse(DEPLOYMENT);
    assert!(file.remove(0, &["spec", "replicas"]).unwrap());
    assert!(file.remove(0, &["metadata", "name"]).unwrap());
    assert!(!file.remove(0, &["metadata", "nothing"]).unwrap());
    assert_eq!(
        file.text(),
        DEPLOYMENT.replace("  replicas: 2 # kpt-set: ${replicas}\n", "").replace("  name: upf   # kept\n", "")
    );
}

#[test]
fn absent_values_get_one() {
    let mut file = parse("a:\nb: # why\nc: {}\n");
    file.set(0, &["a"], &json!("x")).unwrap();
    file.set(0, &["b", "d"], &json!(1)).unwrap();
    file.set(0, &["c", "e"], &json!("f,g")).unwrap();
    assert_eq!(file.text(), "a: x\nb: # why\n  d: 1\nc: {e: \"f,g\"}\n");
}

#[test]
fn nothing_in_braces_becomes_a_map() {
    for (text, expected) in [
        ("m: {n: c, l: }\n", "m: {n: c, l: {a: b} }\n"),
        ("m: {n: c, l: null} # kept\n", "m: {n: c, l: {a: b}} # kept\n"),
        ("m: {l: , n: c}\n", "m: {l: {a: b} , n: c}\n"),
        ("m: {l: ~, n: c}\n", "m: {l: {a: b}, n: c}\n"),
        ("m: {\n  l: null, # kept\n  n: c}\n", "m: {\n  l: {a: b}, # kept\n  n: c}\n"),
        ("m:\n  l: null # kept\n  n: c\n", "m:\n  l: {a: b} # kept\n  n: c\n"),
    ] {
        let mut file = parse(text);
        assert_eq!(file.set(0, &["m", "l", "a"], &json!("b")), Ok(true), "{text}");
        assert_eq!(file.text(), expected);
    }
}

#[test]
fn what_cannot_be_edited_is_refused_and_left() {
    let text = "a: &x 1\nb: *x\nc: |\n  text\n";
    let mut file = parse(text);
    assert!(file.set(0, &["b"], &json!(2)).is_err());
    assert!(file.set(0, &["a", "b"], &json!("y")).is_err());
    assert!(file.set(0, &["a"], &json!(3)).is_err(), "the alias would follow");
    assert_eq!(file.text(), text);
}

/// Each link is small, and the chain of them is as deep as it is long.
#[test]
fn aliases_of_aliases_are_no_deeper_than_anything_else() {
    let chain = |links: usize| {
        let link = |at: usize| format!("a{at}: &a{at} {{x: *a{}}}\n", at - 1);
        format!("a0: &a0 {{}}\n{}", (1..=links).map(link).collect::<String>())
    };
    // The document's own map, one of each link, and the empty one.
    assert!(value(&chain(62))["a62"]["x"]["x"].is_object());
    let error = refused(&chain(63));
    assert_eq!((error.code, error.line), ("yaml.depth_limit", 64), "{error}");
    assert_eq!(refused(&chain(9_000)).code, "yaml.depth_limit");
}

#[test]
fn texts_of_several_lines_are_exchanged() {
    let mut file = parse("m:\n  a: | # why\n    one\n    two\n  b: >-\n    x\n    y\nz: 1\n");
    assert!(file.set(0, &["m", "b"], &json!("plain")).unwrap());
    assert!(file.set(0, &["m", "a"], &json!("1\n2\n3\n")).unwrap());
    assert_eq!(file.text(), "m:\n  a: | # why\n    1\n    2\n    3\n  b: plain\nz: 1\n");
}

#[test]
fn keys_leave_braces() {
    let mut file = parse("m: {a: 1, b: [x], c: 3} # note\n");
    for (key, left) in [("b", "{a: 1, c: 3}"), ("c", "{a: 1}"), ("a", "{}")] {
        assert!(file.remove(0, &["m", key]).unwrap());
        assert_eq!(file.text(), format!("m: {left} # note\n"));
    }
}

#[test]
fn comments_are_set_where_they_can_stand() {
    let mut file = parse("a: 1\nb:   x   # old\nl:\n- p\n- q\nf: [1, 2]\nm: {k: v}\nt: |\n  text\n");
    for path in [&["a"][..], &["b"], &["l"], &["l", "1"], &["f"]] {
        assert!(file.set_comment(0, path, "new").unwrap());
        assert!(!file.set_comment(0, path, "new").unwrap());
    }
    let expected = "a: 1 # new\nb:   x   # new\nl: # new\n- p\n- q # new\nf: [1, 2] # new\nm: {k: v}\nt: |\n  text\n";
    assert_eq!(file.text(), expected);
    for path in [&["m", "k"][..], &["t"], &["f", "0"], &["none"]] {
        assert!(file.set_comment(0, path, "new").is_err(), "{path:?}");
    }
    assert!(file.set_comment(0, &["a"], "two\nlines").is_err());
    assert_eq!(file.text(), expected);
}

#[test]
fn lists_take_their_comment_along() {
    let mut file = parse("a:\n  l: # set\n    - x\n  f: [p] # set\n  z: 1\n");
    assert!(file.set_list(0, &["a", "f"], &[json!("q"), json!("yes")], "set").unwrap());
    assert!(file.set_list(0, &["a", "l"], &[], "set").unwrap());
    assert_eq!(file.text(), "a:\n  l: [] # set\n  f: # set\n    - q\n    - \"yes\"\n  z: 1\n");
    assert!(file.set_list(0, &["a", "l"], &[json!(1)], "set").unwrap());
    assert!(!file.set_list(0, &["a", "l"], &[json!(1)], "set").unwrap());
    assert!(file.text().contains("  l: # set\n    - 1\n"), "{}", file.text());
}

#[test]
fn items_that_stay_keep_their_comments() {
    let text = "l: # set\n# first\n- a # of a\n- b\n\n# third\n- c # of c\n# last\nz: 1\n";
    for (items, expected) in [
        (json!(["c", "a", "d"]), "l: # set\n\n# third\n- c # of c\n# first\n- a # of a\n- d\n# last\nz: 1\n"),
        (json!(["b", "a", "a"]), "l: # set\n- b\n# first\n- a # of a\n- a\n# last\nz: 1\n"),
        (json!([]), "l: [] # set\n# last\nz: 1\n"),
        (json!([{"k": "x", "v": 1}, "a"]), "l: # set\n- k: x\n  v: 1\n# first\n- a # of a\n# last\nz: 1\n"),
    ] {
        let mut file = parse(text);
        assert!(file.set_list(0, &["l"], items.as_array().unwrap(), "set").unwrap());
        assert_eq!(file.text(), expected);
    }
}

#[test]
fn documents_come_and_go_whole() {
    let text = "# head\na: 1\n---\n# of b\nb: |\n  x\n--- # marked\nc: 3\n";
    let mut file = parse(text);
    assert_eq!(file.document_text(1), "# of b\nb: |\n  x\n");
    assert!(file.remove_document(1).unwrap());
    assert_eq!(file.text(), "# head\na: 1\n--- # marked\nc: 3\n");
    file.append_document("d: 4").unwrap();
    assert!(file.replace_document(1, "# new\nc: 5\n").unwrap());
    assert_eq!(file.text(), "# head\na: 1\n--- # marked\n# new\nc: 5\n---\nd: 4\n");
    let mut file = parse("a: 1\n---\nb: 2\n");
    assert!(file.remove_document(0).unwrap());
    assert_eq!(file.text(), "b: 2\n");
    assert!(file.remove_document(0).unwrap() && !file.remove_document(0).unwrap());
    assert_eq!(file.text(), "");
    file.append_document("x: 1\n").unwrap();
    assert_eq!(file.text(), "x: 1\n");
}

mod laws {
    use super::*;
    use proptest::prelude::*;

    fn json_value() -> impl Strategy<Value = Value> {
        let tricky = prop_oneof![
            Just("yes"),
            Just("on"),
            Just("y"),
            Just("n"),
            Just("NO"),
            Just("12:30:45"),
            Just("2001-12-14"),
            Just("1_000"),
            Just("="),
            Just("<<"),
            Just("~"),
            Just("null"),
            Just("0o7"),
            Just("0755"),
            Just("08"),
            Just(".5"),
            Just("1e3"),
            Just("a: b"),
            Just("a #b"),
            Just("- x"),
            Just(""),
            Just(" x "),
            Just("x\ny\n"),
            Just("x\n\ny"),
            Just("é"),
            Just("\u{85}"),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            tricky.prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            "[ -~\n]{0,30}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-zA-Z0-9/._-]{1,8}|y|on|null|1", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// A key without a colon may be the end of the text.
    #[test]
    fn keys_that_are_only_asked_for_are_edited_or_refused() {
        for text in ["#\n- ? B\"{", "- ? é", "a:\n  ? é\u{2028}"] {
            let Ok(mut file) = YamlFile::parse(text.as_bytes(), &Limits::default()) else { continue };
            let _ = file.remove(0, &["0"]);
            let _ = file.remove(0, &["a", "é\u{2028}"]);
            let _ = file.set(0, &["0"], &json!({"a": 1}));
            let _ = file.set(0, &["a"], &json!([1]));
            assert!(file.values().is_ok(), "{text:?}");
        }
    }

    proptest! {
        /// Two other decoders and our own read back exactly what was written.
        #[test]
        fn what_is_written_comes_back(value in json_value()) {
            let whole = json!({"v": value});
            let text = to_yaml(&whole);
            let own = YamlFile::parse(text.as_bytes(), &Limits::default()).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(own.value(0).unwrap(), whole.clone(), "{}", text);
            let other: Value = serde_yaml::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(&other, &whole, "serde_yaml: {}", text);
            let third: Value = serde_saphyr::from_str(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{text}")))?;
            prop_assert_eq!(&third, &whole, "serde-saphyr: {}", text);
        }

        /// Setting any scalar at any key of a block map changes only that.
        #[test]
        fn a_set_value_is_read_back(before in "[a-z]{1,5}", after in "\\PC{0,20}") {
            let mut file = parse(&format!("# head\nx:\n  k: {before} # tail\n  z: 1\n"));
            file.set(0, &["x", "k"], &Value::from(after.clone())).unwrap();
            prop_assert_eq!(file.value(0).unwrap(), json!({"x": {"k": after, "z": 1}}));
            prop_assert!(file.text().starts_with("# head\nx:\n  k: ") && file.text().ends_with(" # tail\n  z: 1\n"));
        }

        #[test]
        fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(file) = YamlFile::parse(&bytes, &Limits::default()) {
                let _ = file.values();
            }
        }

        #[test]
        fn no_yaml_like_input_panics(text in "([a-c]|: |- |\n|  |\\{|\\}|\\[|\\]|,|&a |\\*a|#|\\||>|\"|'|<<){0,60}") {
            if let Ok(mut file) = YamlFile::parse(text.as_bytes(), &Limits::default()) {
                let _ = file.values();
                let _ = file.set(0, &["a", "b"], &json!("c"));
                let _ = file.remove(0, &["a"]);
            }
        }
    }
}

#[test]
fn what_is_kpts_alone_is_read_as_kpt_reads_it() {
    let text = "data: {n: no, on: [y, true, \"off\", .inf, 5]}\n";
    assert_eq!(parse(text).value_of_kpt(0).unwrap(), json!({"data": {"n": "no", "on": ["y", true, "off", ".inf", 5]}}));
    let kptfile = parse(&format!("apiVersion: kpt.dev/v1\nkind: Kptfile\n{text}"));
    assert_eq!(kptfile.value(0).unwrap()["data"], json!({"n": "no", "on": ["y", true, "off", ".inf", 5]}));
}
