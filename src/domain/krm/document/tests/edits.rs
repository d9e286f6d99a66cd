//! Each value of some oddly written documents is set, and taken out, in turn: what is not edited stays, its comments
//! too.

use super::*;

const BLOCK: &str = "\
# c0
kind: Foo # c1
metadata:
  annotations:
    description: |
      some text

      more of it
  # c2
  name: c # c3
spec: # c4
  s: |- # c5
    x
    y
  # c6
  f: > # c7
    x
    y

  # c8
  k: |2 # c9
     x
  m: # c10
    s: |+ # c11
      x

  args: # c12
  - |
    echo one
  - two # c13
  deep:
    - - |
        in
      - 2 # c14
    # c15
    - c: |
        last
  z: 1 # c16
# c17
";

const FLOW: &str = "\
kind: Foo # c1
spec: # c2
  a: {x: 1, # c3
    y: [1, 2], # c4
  } # c5
  b: [ # c6
    one, # c7
    two # c8
  ] # c9
  c: \"multi
    line\" # c10
  e: {} # c11
  g: { a: 1,
    b: 2,
  }
  h: [] # c12
  d: plain # c13
";

const ODD: &str = "\
spec:
    \"q\": 'a' # c1
    'r': \"b\" # c2
    ? s # c3
    : c # c4
    l:
        - - 1 # c5
          - 2 # c6
        -   a: 1 # c7
            b: 2 # c8
        -
            a: 3 # c9
        # c10
    u: !!str 5 # c11
    w: 0o17 # c12
    # c13
    e: # c14
    n: null # c15
    t: ~ # c16
    last:
    - 1 # c17
    # c18
    - 2";

fn paths(value: &Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    let below: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in below {
        path.push(key);
        found.push(path.clone());
        paths(value, path, found);
        path.pop();
    }
}

/// The comments of a text.
fn comments(text: &str) -> Vec<&str> {
    text.match_indices("# c").map(|(at, _)| text[at..].split([' ', '\r', '\n']).nth(1).unwrap()).collect()
}

/// Comments that stand inside of the text that a value covers, and so may go with it.
fn inner(text: &str, file: &YamlFile, path: &[&str], removed: bool) -> Vec<String> {
    let (last, parents) = path.split_last().unwrap();
    let node = file.documents()[0].at(path).unwrap();
    let parent = file.documents()[0].at(parents).unwrap();
    let start = parent.entry(last).map_or(node.span.start, |entry| entry.key_node.span.start);
    // What is taken out goes with the comments right above it, and behind it.
    let above = || {
        let line = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let lines: Vec<&str> = text[..line].lines().collect();
        let notes = lines.iter().rev().take_while(|line| line.trim_start().starts_with('#')).count();
        lines[..lines.len() - notes].iter().map(|line| line.len() + 1).sum()
    };
    let start = if removed { above() } else { start };
    let end = text[..node.end()].trim_end().len();
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at);
    comments(&text[start..end]).into_iter().map(str::to_owned).collect()
}

#[test]
fn every_value_can_be_set_and_taken_out() {
    let news = [
        json!("v"),
        json!("1"),
        json!(5),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(["p", "q"]),
        json!({"p": 1}),
        json!("a\nb\n"),
        json!("a\nb"),
        json!("# h: x"),
        json!(" lead"),
        json!(1.5),
    ];
    let mut faults = Vec::new();
    let texts = [("block", BLOCK), ("flow", FLOW), ("odd", ODD)];
    let windows = texts.map(|(name, text)| (name, text.replace('\n', "\r\n")));
    let all = texts.into_iter().chain(windows.iter().map(|(name, text)| (*name, text.as_str())));
    for (name, text) in all {
        let whole = parse(text);
        let mut found = Vec::new();
        paths(&whole.value(0).unwrap(), &mut Vec::new(), &mut found);
        for path in &found {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            let mut check = |act: String, edited: Result<bool, EditError>, file: &YamlFile, removed: bool| {
                let told = format!("{name} {} {act}", path.join("."));
                if let Err(error) = edited {
                    faults.push(format!("{told}: {error}"));
                    return;
                }
                let allowed = inner(text, &whole, &path, removed);
                let kept = comments(file.text());
                let lost: Vec<&str> = comments(text)
                    .into_iter()
                    .filter(|comment| !kept.contains(comment) && !allowed.iter().any(|one| one == comment))
                    .collect();
                if !lost.is_empty() {
                    faults.push(format!("{told}: lost {lost:?}\n{}", file.text()));
                }
                let line_break = act.ends_with("\\n\"");
                if text.ends_with('\n') != file.text().ends_with('\n') && !removed && !line_break {
                    faults.push(format!("{told}: the last line break\n{}", file.text()));
                }
            };
            for new in &news {
                let mut file = whole.clone();
                let edited = file.set(0, &path, new);
                check(format!("= {new}"), edited, &file, false);
            }
            let mut file = whole.clone();
            let edited = file.remove(0, &path);
            check("removed".to_owned(), edited, &file, true);
            let node = whole.documents()[0].at(&path).unwrap();
            if matches!(node.kind, NodeKind::Mapping { .. }) {
                let mut file = whole.clone();
                let added: Vec<&str> = path.iter().copied().chain(["new"]).collect();
                let edited = file.set(0, &added, &json!("v"));
                check("with a key".to_owned(), edited, &file, false);
            }
            if let NodeKind::Sequence { items, .. } = &node.kind {
                for at in [0, items.len()] {
                    let mut file = whole.clone();
                    let edited = file.insert_item(0, &path, at, &json!({"a": "v"})).map(|()| true);
                    check(format!("with an item at {at}"), edited, &file, false);
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
