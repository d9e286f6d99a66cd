//! Names of fields as CEL identifiers.
//!
//! Source: `k8s.io/apiserver/pkg/cel/escaping.go` of Kubernetes v1.36.

/// Words that CEL keeps for itself: such a field is `__word__`.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];
/// Signs that identifiers cannot have, with what stands for them.
const SIGNS: [(&str, &str); 4] = [("__underscores__", "__"), ("__dot__", "."), ("__dash__", "-"), ("__slash__", "/")];

/// The identifier of a field; `None` when no identifier can stand for it.
pub(super) fn escape(name: &str) -> Option<String> {
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let mut out = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let sign = SIGNS.iter().find(|(_, sign)| rest.starts_with(sign));
        match sign {
            Some((word, sign)) => {
                out.push_str(word);
                rest = rest.get(sign.len()..).unwrap_or_default();
            }
            None if first.is_ascii_alphanumeric() || first == '_' => {
                out.push(first);
                rest = rest.get(1..).unwrap_or_default();
            }
            None => return None,
        }
    }
    Some(out)
}

/// The field that an identifier stands for; `None` when it is no escaped name.
pub(super) fn unescape(ident: &str) -> Option<String> {
    let word = ident.strip_prefix("__").and_then(|rest| rest.strip_suffix("__"));
    if let Some(word) = word.filter(|word| RESERVED.contains(word)) {
        return Some(word.to_owned());
    }
    let mut out = String::new();
    let mut rest = ident;
    while let Some(at) = rest.find("__") {
        let (before, after) = rest.split_at(at);
        let (word, sign) = SIGNS.iter().find(|(word, _)| after.starts_with(word))?;
        out.push_str(before);
        out.push_str(sign);
        rest = after.get(word.len()..).unwrap_or_default();
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        let table = [
            ("my_field", Some("my_field")),
            ("a-b", Some("a__dash__b")),
            ("a.b/c", Some("a__dot__b__slash__c")),
            ("a__b", Some("a__underscores__b")),
            ("namespace", Some("__namespace__")),
            ("$ref", None),
            ("1st", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(escape(name).as_deref(), expected, "{name}");
        }
        assert_eq!(unescape("a__x__b"), None);
    }

    proptest! {
        #[test]
        fn escaping_is_undone(name in "([a-z]|__|[./-]){0,8}") {
            if let Some(escaped) = escape(&name) {
                prop_assert_eq!(unescape(&escaped), Some(name));
            }
        }
    }
}
