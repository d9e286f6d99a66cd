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
        (r#"("?resourceVersion"?: )"\d+""#, r#"$1"RV""#),
        (r"https?://127\.0\.0\.1:\d+", "SERVER"),
        (r"10\.96\.\d+\.\d+", "ADDRESS"),
        (r#"(nodePort"?: )3\d{4}"#, "${1}PORT"),
        (r":3[0-2]\d{3}/TCP", ":PORT/TCP"),
        (r"(?m) +\d+(s|ms|m\d*s?)( |$)", " AGE$2"),
        (r"/tmp/[A-Z]+-\d+", "TEMPORARY"),
        (r"HERE/[A-Z]+-\d+/|HERE/kubectl-edit-\w+\.yaml", "TEMPORARY"),
    ];
    rows.into_iter().map(|(pattern, word)| (Regex::new(pattern).unwrap(), word)).collect()
});

/// A reviewed difference: why, in which lines of the script, and how both outputs are made the same.
struct Exception {
    #[expect(dead_code, reason = "for readers: no exception without a reason")]
    reason: &'static str,
    lines: &'static str,
    rewrite: fn(&str) -> String,
}

const EXCEPTIONS: &[Exception] = &[];

fn blurred(line: &str, text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, word) in BLURRED.iter() {
        text = pattern.replace_all(&text, *word).into_owned();
    }
    for exception in EXCEPTIONS {
        if Regex::new(exception.lines).unwrap().is_match(line) {
            text = (exception.rewrite)(&text);
        }
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
        let (real, ours) = (blurred(line, real), blurred(line, ours));
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
