//! Where in a program something is, and what went wrong there.

/// A place in a program, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spot {
    /// Line.
    pub(super) line: usize,
    /// Column, in characters.
    pub(super) column: usize,
}

/// Why a program ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// What went wrong, in words.
    pub(super) message: String,
    /// Where; `None` until the expression that did it is known.
    pub(super) spot: Option<Spot>,
    /// Names of the functions that were being run, the innermost first.
    pub(super) calls: Vec<String>,
}

impl Fault {
    /// A fault whose place is not known yet.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), spot: None, calls: Vec::new() }
    }

    /// A fault at a place.
    pub(super) fn at(message: impl Into<String>, spot: Spot) -> Self {
        Self { spot: Some(spot), ..Self::new(message) }
    }

    /// The same fault, at this place unless a place nearer to it is known.
    pub(super) fn near(mut self, spot: Spot) -> Self {
        self.spot.get_or_insert(spot);
        self
    }
}

/// An outcome of a part of a program.
pub(super) type Outcome<T> = Result<T, Fault>;
