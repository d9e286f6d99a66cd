//! What is wrong with an intent, and where.

use std::fmt;

/// One rule that an object breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Field, such as `spec.replicas`.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Violation {
    /// A violation without a hint.
    #[must_use]
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into(), hint: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " ({hint})"))
    }
}

/// Joins all violations as the `CNFDeployment` contract words them: `validation errors: a; b`.
#[must_use]
pub fn joined(violations: &[Violation]) -> String {
    let all: Vec<&str> = violations.iter().map(|violation| violation.message.as_str()).collect();
    format!("validation errors: {}", all.join("; "))
}
