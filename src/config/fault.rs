//! What is wrong with a configuration, all of it at once, each with its place.
//!
//! Invariant: no message ever repeats the content of a secret, nor the source line that a parser choked on, since
//! that line may be one. A fault names the key, the line (or the environment variable) and the mend.

use std::cell::RefCell;
use std::fmt;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file, counted from 1.
    Line(usize),
    /// An environment variable (`TONGDAO__…`).
    Variable(String),
    /// Nowhere: the whole file is meant, or the value is absent everywhere.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}: "),
            Self::Variable(name) => write!(f, "${name}: "),
            Self::Nowhere => Ok(()),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where it was written.
    pub origin: Origin,
    /// The key's path (`channels[0].fee_bps`); empty for the file itself.
    pub path: String,
    /// What is wrong and how to mend it; never a secret.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{}{}{colon}{}", self.origin, self.path, self.message)
    }
}

/// Everything that is wrong with one configuration, in the order of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    /// The file's name, as given.
    pub name: String,
    /// The faults; never empty.
    pub list: Vec<Fault>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.list.len() == 1 { "" } else { "s" };
        write!(f, "{}: {} fault{plural}", self.name, self.list.len())?;
        self.list.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for Faults {}

/// Collects faults and warnings while a configuration is read.
#[derive(Default)]
pub(super) struct Report {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<String>>,
}

impl Report {
    pub(super) fn fault(&self, path: &str, origin: &Origin, message: impl Into<String>) {
        let fault = Fault { origin: origin.clone(), path: path.to_owned(), message: message.into() };
        self.faults.borrow_mut().push(fault);
    }

    pub(super) fn warn(&self, path: &str, message: &str) {
        self.warnings.borrow_mut().push(format!("{path}: {message}"));
    }

    pub(super) fn is_clean(&self) -> bool {
        self.faults.borrow().is_empty()
    }

    /// The report to go on with, or its faults.
    pub(super) fn clean(self, name: &str) -> Result<Self, Faults> {
        if self.is_clean() { Ok(self) } else { self.close(name).map(|_| Self::default()) }
    }

    /// The faults as an error, or the warnings.
    pub(super) fn close(self, name: &str) -> Result<Vec<String>, Faults> {
        let mut list = self.faults.into_inner();
        if list.is_empty() {
            return Ok(self.warnings.into_inner());
        }
        list.sort_by_key(|fault| match fault.origin {
            Origin::Nowhere => 0,
            Origin::Line(line) => line,
            Origin::Variable(_) => usize::MAX,
        });
        Err(Faults { name: name.to_owned(), list })
    }
}
