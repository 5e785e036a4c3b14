//! How a command ends: the exit codes that scripts rely on, and the errors behind them.
//!
//! Invariant: one kind of trouble, one code, whatever command met it; the code is decided here alone.

use crate::config::Faults;
use serde::Deserialize;
use std::process::ExitCode;

/// The exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Fine,
    /// A problem was found, or what was asked could not be done.
    Problem,
    /// The command line itself is wrong.
    Usage,
    /// The daemon does not answer.
    Unreachable,
    /// A safety rule refused it.
    Refused,
    /// Something changed since the dry run.
    Changed,
    /// The configuration is wrong.
    BadConfig,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Problem => 1,
            Self::Usage => 2,
            Self::Unreachable => 3,
            Self::Refused => 4,
            Self::Changed => 5,
            Self::BadConfig => 64,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// Trouble that has a code of its own; anything else is a `Problem`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// The daemon does not answer.
    #[error("the daemon does not answer: {0}")]
    Unreachable(String),
    /// The daemon answered with a problem.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// The configuration is wrong.
    #[error(transparent)]
    BadConfig(#[from] Faults),
    /// The built-in configuration was never started here: its secrets do not exist yet.
    #[error(
        "the built-in configuration has no secrets here yet: `tongdao serve` makes them at the first start; name your \
         own configuration with --config FILE"
    )]
    NotMade,
    /// The arguments contradict each other or lack something.
    #[error("{0}")]
    Usage(String),
}

/// A problem document (RFC 9457) as far as a person reads it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The stable code.
    pub(crate) code: String,
    /// What happened in general.
    pub(crate) title: String,
    /// What happened here.
    pub(crate) detail: Option<String>,
    /// What can be done next.
    pub(crate) advice: Option<String>,
    /// The charge concerned.
    pub(crate) charge_id: Option<String>,
    /// Each thing that is wrong.
    pub(crate) errors: Vec<ProblemError>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ProblemError {
    /// Where.
    pub(crate) pointer: String,
    /// What.
    pub(crate) detail: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let said = self.detail.as_deref().filter(|detail| !detail.is_empty()).unwrap_or(&self.title);
        write!(f, "{} {}: {said}", self.status, self.code)?;
        for error in &self.errors {
            write!(f, "\n  {}: {}", error.pointer, error.detail)?;
        }
        if let Some(charge) = &self.charge_id {
            write!(f, "\n  charge: {charge}")?;
        }
        match self.advice.as_deref() {
            Some(advice) if !advice.is_empty() => write!(f, "\n  next: {advice}"),
            _ => Ok(()),
        }
    }
}

impl Stop {
    /// The daemon answered with a problem.
    pub(crate) fn problem(problem: Problem) -> Self {
        Self::Problem(Box::new(problem))
    }

    /// Its exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Unreachable(_) => Exit::Unreachable,
            Self::BadConfig(_) | Self::NotMade => Exit::BadConfig,
            Self::Usage(_) => Exit::Usage,
            Self::Problem(problem) => match (problem.status, problem.code.as_str()) {
                (409, "version_changed") => Exit::Changed,
                (409, _) | (422, "amount_exceeds_refundable") => Exit::Refused,
                _ => Exit::Problem,
            },
        }
    }
}

/// The exit code of whatever went wrong.
pub(crate) fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.exit();
    }
    if error.downcast_ref::<Faults>().is_some() {
        return Exit::BadConfig;
    }
    match error.downcast_ref::<std::io::Error>() {
        // Whoever read our output has seen enough (`tongdao … | head`).
        Some(io) if io.kind() == std::io::ErrorKind::BrokenPipe => Exit::Fine,
        Some(_) | None => Exit::Problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit_of_problem(status: u16, code: &str) -> u8 {
        let problem = Problem { status, code: code.to_owned(), ..Problem::default() };
        exit_of(&Stop::problem(problem).into()).number()
    }

    #[test]
    fn each_kind_of_trouble_has_its_code() {
        assert_eq!(exit_of(&Stop::Unreachable(String::new()).into()).number(), 3);
        assert_eq!(exit_of(&Stop::Usage(String::new()).into()).number(), 2);
        let faults = Faults { name: "x".into(), list: Vec::new() };
        assert_eq!(exit_of(&Stop::BadConfig(faults.clone()).into()).number(), 64);
        assert_eq!(exit_of(&faults.into()).number(), 64);
        assert_eq!(exit_of_problem(409, "invalid_state"), 4);
        assert_eq!(exit_of_problem(409, "would_leave_no_channel"), 4);
        assert_eq!(exit_of_problem(409, "version_changed"), 5);
        assert_eq!(exit_of_problem(404, "not_found"), 1);
        assert_eq!(exit_of(&anyhow::anyhow!("anything")).number(), 1);
    }

    #[test]
    fn a_reader_that_has_seen_enough_is_no_trouble() {
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert_eq!(exit_of(&broken.into()).number(), 0);
    }

    #[test]
    fn a_problem_reads_as_a_sentence_with_its_mend() {
        let text = r#"{"type":"about:blank","status":409,"code":"invalid_state","title":"Not possible now",
            "detail":"the charge is closed","advice":"open a new charge","charge_id":"ch_1","retryable":false}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        insta::assert_snapshot!(problem.to_string(), @r"
        409 invalid_state: the charge is closed
          charge: ch_1
          next: open a new charge
        ");
    }
}
