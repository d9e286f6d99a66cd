//! What crosses to a function that is not built in, and what comes back. Nothing is run here.

use std::fmt;

use crate::domain::source::FileTree;

/// What runs a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A container image, by its whole name.
    Image(String),
    /// A program with its arguments, as a shell splits them into words.
    Exec(String),
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(text) | Self::Exec(text) => f.write_str(text),
        }
    }
}

/// A call that a rendering waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be run.
    pub program: Program,
    /// Its standard input: a `ResourceList` (`config.kubernetes.io/v1`) as YAML.
    pub list: String,
    /// Every file of the package as it is at the moment, its subpackages and what `.krmignore` leaves out among them,
    /// for programs that read more than resources.
    pub files: FileTree,
}

/// How a function that was run to its end answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Its standard output: a `ResourceList`, or a `List`, also where no resource is left. One that is empty is
    /// refused, other than by kpt, which takes all resources away then.
    pub list: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
    /// What exactly answered, where the program's name does not say it: the digest of what a tag led to. Empty
    /// otherwise.
    pub by: String,
}

/// Most letters of what a function said last.
const SHOWN: usize = 300;

/// Why a function gave no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct Failure {
    /// Stable code: `fn.config`, `fn.failed`, `fn.timeout`, `fn.output_limit`, `fn.output_invalid`, `fn.no_runner`,
    /// `fn.exec_denied`, `fn.memory_limit`, `fn.image_denied`, `fn.image_not_pinned`.
    pub code: &'static str,
    /// What was tried, why it failed, and what to do.
    pub message: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code, when it was run to its end.
    pub exit_code: Option<i32>,
    /// What it wrote before it failed; its results are told all the same.
    pub list: Vec<u8>,
}

impl Failure {
    /// A failure of a function that did not say anything.
    #[must_use]
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), ..Self::default() }
    }

    /// The failure with the last line of its standard error, which mostly tells why, where nothing else of it is shown.
    #[must_use]
    pub fn with_last_words(mut self) -> Self {
        let last = self.stderr.lines().map(str::trim).rfind(|line| !line.is_empty());
        if let Some(last) = last.filter(|last| !self.message.contains(last)) {
            // No codes for terminals among them.
            let shown: String = last.chars().filter(|letter| !letter.is_control()).take(SHOWN).collect();
            self.message = format!("{}: {shown}", self.message);
        }
        self
    }
}
