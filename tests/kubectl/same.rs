//! What of two outputs must be the same.

use std::sync::LazyLock;

use regex::Regex;

/// What a line of the script led to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// What two servers tell differently: identities, times, revisions, addresses. Only that there is one remains.
static BLURRED: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rows = [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+]0000( UTC)?", "TIME"),
        (r"(Resource Version: +)\d+", "${1}RV"),
        (r#"("?resourceVersion"?: )"\d+""#, r#"$1"RV""#),
        (r"https?://127\.0\.0\.1:\d+", "SERVER"),
        (r"10\.96\.\d+\.\d+", "ADDRESS"),
        (r#"(nodePort"?: )3\d{4}"#, "${1}PORT"),
        (r":3[0-2]\d{3}/TCP", ":PORT/TCP"),
        (r"(?m) +\d+(s|ms|m\d*s?)( |$)", " AGE$2"),
        (r"/tmp/[A-Z]+-\d+", "TEMPORARY"),
        // The log of a watch that is begun again in the moment in which the time is over, or is not.
        (r"(?m)^E\d{4} .* reflector\.go:\d+\] .*\n", ""),
        (r"HERE/[A-Z]+-\d+/|HERE/kubectl-edit-\w+\.yaml", "TEMPORARY"),
    ];
    rows.into_iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).collect()
});

/// A reviewed difference: why, in which lines of the script (a pattern), and how both outputs, the real one first, are
/// made the same.
struct Exception {
    #[expect(dead_code, reason = "for readers: no exception without a reason")]
    reason: &'static str,
    lines: &'static str,
    rewrite: fn(&mut String, &mut String),
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "ours serves the kinds that its users need, not all; it says nothing else than the real server of those",
        lines: "^kubectl api-(versions|resources)",
        rewrite: keep_shared,
    },
    Exception {
        reason: "ours knows no roles: who asks may do everything, and that is all it says; the real server adds what everybody may",
        lines: "^kubectl auth can-i --list",
        rewrite: keep_shared,
    },
    Exception {
        reason: "types that the decoder of Go names: it knows structs, a schema does not; values are shown as Go structures",
        lines: r"data: \{a: 1\}",
        rewrite: |real, ours| {
            cut_after(real, "Go struct field ConfigMap.data");
            cut_after(ours, "Go struct field ConfigMap.data");
            cut_after(real, "expected string, got ");
            cut_after(ours, "expected string, got ");
        },
    },
    Exception {
        reason: "our OpenAPI v2 is empty: kubectl asks v3 for everything but this",
        lines: "plaintext-openapiv2",
        rewrite: |real, ours| [real, ours].into_iter().for_each(String::clear),
    },
    Exception {
        reason: "the prose of `explain` is ours; our schemas do not say what is required or which words are allowed, and have \
                 no name for the type of `fieldsV1`",
        lines: "^kubectl explain",
        rewrite: |real, ours| [real, ours].into_iter().for_each(keep_fields),
    },
    Exception {
        reason: "the real server runs without the admission of service accounts, which needs a controller",
        lines: "get pod lone",
        rewrite: |real, ours| [real, ours].into_iter().for_each(forget_account),
    },
    Exception {
        reason: "managers stand in the order of the seconds in which they wrote, then of their names; both servers hear the \
                 script at their own pace (the order itself is judged by the unit tests of `krm::apply`)",
        lines: "--show-managed-fields",
        rewrite: |real, ours| [real, ours].into_iter().for_each(sort_managers),
    },
    Exception {
        reason: "the real server looks now and then whether addresses are allocated, and tells of one that it allocates in \
                 that moment",
        lines: "event|describe",
        rewrite: |real, _| forget_repair(real),
    },
];

/// Drops the events of the real server's own look at addresses, and the table that held nothing else.
fn forget_repair(text: &mut String) {
    const WITHOUT_ROWS: &str = "Events:\n  Type Reason Age From Message\n  ---- ------ ---- ---- -------\n";
    if text.contains("ClusterIPNotAllocated") {
        let kept = text.split_inclusive('\n').filter(|line| !line.contains("ClusterIPNotAllocated"));
        *text = kept.collect();
        if let Some(before) = text.strip_suffix(WITHOUT_ROWS) {
            *text = format!("{before}Events: <none>\n");
        }
    }
}

/// Puts the entries of `managedFields` in the order of their texts.
fn sort_managers(text: &mut String) {
    const HEAD: &str = "  managedFields:\n";
    let Some(start) = text.find(HEAD).map(|at| at + HEAD.len()) else { return };
    let is_inside = |line: &&str| line.starts_with("  - ") || line.starts_with("    ");
    let length: usize = text[start..].split_inclusive('\n').take_while(is_inside).map(str::len).sum();
    let mut entries: Vec<String> = Vec::new();
    for line in text[start..start + length].split_inclusive('\n') {
        match entries.last_mut().filter(|_| !line.starts_with("  - ")) {
            Some(entry) => entry.push_str(line),
            None => entries.push(line.to_owned()),
        }
    }
    entries.sort();
    text.replace_range(start..start + length, &entries.concat());
}

/// Cuts a text behind a word.
fn cut_after(text: &mut String, word: &str) {
    if let Some(at) = text.find(word) {
        text.truncate(at + word.len());
    }
}

/// Drops the lines of the real output that ours has not.
fn keep_shared(real: &mut String, ours: &mut String) {
    // The widths of columns follow what is in other lines.
    *ours = ours.lines().map(|line| format!("{}\n", line.trim())).collect();
    let known: Vec<&str> = ours.lines().collect();
    let shared = real.lines().map(str::trim).filter(|line| known.contains(line));
    *real = shared.map(|line| format!("{line}\n")).collect();
}

/// Keeps what `explain` says of the kind and of the names and types of fields.
fn keep_fields(text: &mut String) {
    static FIELD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^ +\w+ <\S+>").unwrap());
    let kept = text.lines().filter_map(|line| {
        let is_head = ["GROUP:", "KIND:", "VERSION:", "FIELD:"].iter().any(|head| line.starts_with(head));
        let field = FIELD.find(line).map(|found| found.as_str());
        field.or(is_head.then_some(line))
    });
    *text = kept.map(|line| format!("{line}\n").replace("<FieldsV1>", "<Object>")).collect();
}

fn forget_account(text: &mut String) {
    let other = text.lines().filter(|line| !line.trim_start().starts_with("serviceAccount"));
    *text = other.map(|line| format!("{line}\n")).collect();
}

fn blurred(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in BLURRED.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    // Columns are as wide as what is blurred in them.
    text.lines().map(squeezed).collect()
}

fn squeezed(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    format!("{}{}\n", &line[..indent], line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// How a line of the script was answered differently, as text.
pub(crate) fn differs((line, (real, ours)): (&str, (&Told, &Told))) -> Option<String> {
    let mut found = String::new();
    if real.code != ours.code {
        found.push_str(&format!("  exit code: real {:?}, ours {:?}\n", real.code, ours.code));
    }
    for (name, real, ours) in [("out", &real.out, &ours.out), ("err", &real.err, &ours.err)] {
        let (mut real, mut ours) = (blurred(real), blurred(ours));
        for exception in EXCEPTIONS.iter().filter(|one| Regex::new(one.lines).unwrap().is_match(line)) {
            (exception.rewrite)(&mut real, &mut ours);
        }
        if real != ours {
            found.push_str(&format!("  {name} (- real, + ours):\n{}", changes(&real, &ours)));
        }
    }
    (!found.is_empty()).then(|| format!("$ {line}\n{found}"))
}

fn changes(real: &str, ours: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["real", "ours"].map(|name| directory.path().join(name));
    for (path, text) in paths.iter().zip([real, ours]) {
        std::fs::write(path, text).unwrap();
    }
    let told = std::process::Command::new("diff").arg("-U1").args(&paths).output().unwrap().stdout;
    String::from_utf8_lossy(&told).lines().skip(2).map(|line| format!("    {line}\n")).collect()
}

#[test]
fn a_look_at_addresses_leaves_no_trace() {
    let row =
        "  Warning ClusterIPNotAllocated AGE ipallocator-repair-controller Cluster IP: ADDRESS is not allocated\n";
    let head = "Events:\n  Type Reason Age From Message\n  ---- ------ ---- ---- -------\n";
    let other = "  Normal Happened AGE someone it happened\n";
    for (text, expected) in [
        (format!("Name: web\n{head}{row}"), "Name: web\nEvents: <none>\n".to_owned()),
        (format!("{head}{other}{row}"), format!("{head}{other}")),
        (format!("{head}{other}"), format!("{head}{other}")),
    ] {
        let mut found = text;
        forget_repair(&mut found);
        assert_eq!(found, expected);
    }
}
