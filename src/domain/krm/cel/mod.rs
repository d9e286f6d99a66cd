//! Rules in the Common Expression Language (CEL) that CRDs hold their objects to (`x-kubernetes-validations`).
//!
//! An own evaluator: pure, bounded, without panics. Sources: the CEL specification (cel-spec, `doc/langdef.md`) and the
//! behaviour of Kubernetes v1.36 (`k8s.io/apiserver/pkg/cel`,
//! `k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel`): its libraries (strings, lists, regular expressions,
//! URLs, quantities, IP, CIDR, formats, semantic versions, sets, optionals, walks with two variables), its escapes of
//! field names, its costs and its wording.
//!
//! # What differs from the real server
//!
//! - The cost of a rule is not estimated when a CRD is created; it is only counted and limited when the rule runs.
//! - Time zones are fixed offsets or `UTC`: names such as `Europe/Oslo` need a database that a pure module does not
//!   read.
//! - Syntax errors are worded after those of CEL, not always in the same words.

mod ast;
mod check;
mod collection;
mod escape;
mod eval;
mod faults;
mod lex;
mod library;
mod parse;
mod pattern;
mod program;
mod rules;
mod schema;
mod signatures;
mod types;
mod value;
mod verdict;

pub use rules::{Broken, Reason, RuleFault, RuleFaultKind, Rules};

/// Whether a text is a duration as fields of format `duration` hold them, such as `1h30m` or `3 days`.
#[must_use]
pub fn is_duration(text: &str) -> bool {
    super::duration::parse_loose(text).is_some()
}

/// Whether a text is a pattern as the API server reads them (RE2).
///
/// # Errors
/// What is wrong with it.
pub fn check_pattern(text: &str) -> Result<(), String> {
    pattern::compile(text).map(|_| ())
}

/// Whether a text holds what a pattern of the API server (RE2) describes. What is no pattern describes every text: no
/// schema with one is accepted.
#[must_use]
pub fn pattern_matches(pattern: &str, text: &str) -> bool {
    pattern::compile(pattern).map_or(true, |pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests;
