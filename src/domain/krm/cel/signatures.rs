//! What functions and operators take and give.
//!
//! Source: the standard definitions of the CEL specification and the libraries that
//! `k8s.io/apiserver/pkg/cel/environment` of Kubernetes v1.36 loads for stored expressions.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::types::Type;

/// One way to call a function.
#[derive(Debug)]
pub(super) struct Signature {
    /// Whether it has a receiver: the first parameter.
    pub(super) method: bool,
    pub(super) params: Vec<Type>,
    pub(super) result: Type,
}

/// Functions: name, parameters, result. A name with a dot in front is a method.
const TABLE: &str = include_str!("signatures.txt");

/// All functions by name.
pub(super) fn all() -> &'static BTreeMap<&'static str, Vec<Signature>> {
    static ALL: OnceLock<BTreeMap<&'static str, Vec<Signature>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut found: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, signature) in TABLE.lines().filter_map(read) {
            found.entry(name).or_default().push(signature);
        }
        found
    })
}

/// Reads a line such as `.startsWith(string, string) bool`.
fn read(line: &'static str) -> Option<(&'static str, Signature)> {
    let (name, rest) = line.split_once('(')?;
    let (params, result) = rest.rsplit_once(')')?;
    let method = name.starts_with('.');
    let params = split(params).into_iter().map(Type::parse).collect::<Option<Vec<_>>>()?;
    Some((name.strip_prefix('.').unwrap_or(name), Signature { method, params, result: Type::parse(result)? }))
}

/// Parts between the commas outside of angle brackets.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in text.char_indices() {
        match letter {
            '<' => depth += 1,
            '>' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_signature() {
        for line in TABLE.lines() {
            assert!(read(line).is_some(), "{line}");
        }
        assert!(all()["size"].len() == 8 && all()["startsWith"][0].method);
    }
}
