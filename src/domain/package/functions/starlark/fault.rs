//! Where in a program something is, and what went wrong there.

/// A place in a program, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Spot {
    /// Line.
    pub(super) line: usize,
    /// Column, in characters.
    pub(super) column: usize,
}

/// Why a program ended before its end; in a box, because every expression may return one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(Box<Told>);

/// What is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// What went wrong, in words.
    pub(super) message: String,
    /// Where; `None` until the expression that did it is known.
    pub(super) spot: Option<Spot>,
    /// Names of the functions that were being run, the innermost first.
    pub(super) calls: Vec<String>,
}

/// Most calls that are told.
const CALLS: usize = 10;

impl Fault {
    /// A fault whose place is not known yet.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(Box::new(Told { message: message.into(), spot: None, calls: Vec::new() }))
    }

    /// A fault at a place.
    pub(super) fn at(message: impl Into<String>, spot: Spot) -> Self {
        Self::new(message).near(spot)
    }

    /// The same fault, at this place unless a place nearer to it is known.
    pub(super) fn near(mut self, spot: Spot) -> Self {
        self.0.spot.get_or_insert(spot);
        self
    }

    /// The same fault, in a call of this function.
    pub(super) fn within(mut self, function: &str) -> Self {
        if self.0.calls.len() < CALLS {
            self.0.calls.push(function.to_owned());
        }
        self
    }

    /// What is told of it.
    pub(super) fn told(&self) -> &Told {
        &self.0
    }
}

/// An outcome of a part of a program.
pub(super) type Outcome<T> = Result<T, Fault>;
