//! What is wrong with a file, and where.

use std::fmt;

use crate::domain::krm::document::DocumentError;
use crate::domain::krm::object::visible;

/// One thing that is wrong with a package or a folder of intents.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// File, relative to the package.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Stable code, such as `kptfile.unknown_field`.
    pub code: &'static str,
    /// Field, when one is meant.
    pub field: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem without field and hint.
    #[must_use]
    pub fn new(code: &'static str, file: &str, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, code, field: None, message: message.into(), hint: None }
    }

    /// Names the field.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file that cannot be read as YAML.
    #[must_use]
    pub fn unreadable(file: &str, error: &DocumentError) -> Self {
        Self::new(error.code, file, error.line, format!("column {}: {}", error.column, error.message))
    }
}

impl fmt::Display for Problem {
    /// `file:line: field: message (hint) [code]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", visible(&self.file), self.line)?;
        if let Some(field) = &self.field {
            write!(f, "{}: ", visible(field))?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        write!(f, " [{}]", self.code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_one_line_whatever_things_are_called() {
        let problem = Problem::new("k8s.name", "a\nb.yaml", 3, "m").field("data.k\r\n2\u{1b}[31m");
        assert_eq!(problem.to_string(), "a\\nb.yaml:3: data.k\\r\\n2\\u{1b}[31m: m [k8s.name]");
    }
}
