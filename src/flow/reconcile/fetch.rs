//! Asks a provider for the statement of a day and puts the file into the spool.
//!
//! Invariant: "there is none" and "not yet" are answers and never an empty file; whatever else has no whole file is
//! trouble, told in words without a URL, because a statement's address can be a secret.

use super::super::Flow;
use super::super::ask::label_of;
use crate::config::Channel;
use crate::metrics::CallOutcome;
use crate::ports::{Download, Downloaded, Operation, SendError};
use crate::spool::Spooled;
use std::io;
use std::time::Duration;
use tongdao_core::day::Day;
use tongdao_core::provider::{HttpCall, Seal, StatementOutcome};

/// UnionPay's answer holds the whole file.
const ASK_DEADLINE: Duration = Duration::from_secs(120);

/// A statement on the disk.
#[derive(Debug)]
pub(super) struct StatementFile {
    pub(super) spooled: Spooled,
    pub(super) seal: Option<Seal>,
}

/// What came of asking.
#[derive(Debug)]
pub(super) enum Fetched {
    /// The file is there.
    File(StatementFile),
    /// The provider is still making it.
    NotReady,
    /// The provider says that there is none.
    Absent,
    /// No file, and why.
    Trouble(String),
}

impl Flow {
    /// Asks once for a day's statement.
    pub(super) async fn fetch_statement(&self, channel: &Channel, day: Day) -> Fetched {
        let call = match channel.provider.statement(day, self.clock.now(), self.nonce()) {
            Ok(call) => call,
            Err(why) => return Fetched::Trouble(why.to_string()),
        };
        let deadline = ASK_DEADLINE.min(self.config.load().reconciliation.download_deadline);
        let reply = match self.outside.call(&channel.id, Operation::Statement, call, deadline).await {
            Ok(reply) => reply,
            Err(error) => return self.unsent(channel, &error),
        };
        let outcome = channel.provider.read_statement(day, &reply, self.clock.now(), self.nonce());
        self.metrics.call_answered(&channel.id, Operation::Statement, answered(&outcome));
        match outcome {
            StatementOutcome::Download { call, seal } => self.download_statement(channel, call, seal).await,
            StatementOutcome::File(content) => self.spool_statement(content).await,
            StatementOutcome::NotReady => Fetched::NotReady,
            StatementOutcome::Absent => Fetched::Absent,
            StatementOutcome::Failed(failure) => {
                Fetched::Trouble(format!("{} {}: {}", failure.class.as_str(), failure.provider_code, failure.detail))
            }
        }
    }

    async fn download_statement(&self, channel: &Channel, call: HttpCall, seal: Option<Seal>) -> Fetched {
        let spooled = match self.spool.place(self.rng.draw()) {
            Ok(spooled) => spooled,
            Err(error) => return no_room(&error),
        };
        let config = self.config.load();
        let (bytes_max, deadline) = (config.reconciliation.file_max, config.reconciliation.download_deadline);
        let download = Download { call, to: spooled.path().to_owned(), bytes_max, deadline };
        let downloaded = match self.outside.download(&channel.id, download).await {
            Ok(downloaded) => downloaded,
            Err(error) => return self.unsent(channel, &error),
        };
        let label = match &downloaded {
            Downloaded::Whole { .. } => CallOutcome::Ok,
            Downloaded::Refused { status: 500.. } => CallOutcome::Unavailable,
            Downloaded::Refused { .. } | Downloaded::Unfit(_) => CallOutcome::Rejected,
        };
        self.metrics.call_answered(&channel.id, Operation::Statement, label);
        match downloaded {
            Downloaded::Whole { .. } => Fetched::File(StatementFile { spooled, seal }),
            Downloaded::Refused { status } => Fetched::Trouble(format!("the file's address answered {status}")),
            Downloaded::Unfit(why) => Fetched::Trouble(format!("the file was not taken: {why}")),
        }
    }

    async fn spool_statement(&self, content: Vec<u8>) -> Fetched {
        let spooled = match self.spool.place(self.rng.draw()) {
            Ok(spooled) => spooled,
            Err(error) => return no_room(&error),
        };
        let written = tokio::task::spawn_blocking(move || spooled.write(&content).map(|()| spooled)).await;
        match written {
            Ok(Ok(spooled)) => Fetched::File(StatementFile { spooled, seal: None }),
            Ok(Err(error)) => no_room(&error),
            Err(_join) => Fetched::Trouble("the thread that wrote the file died".to_owned()),
        }
    }

    fn unsent(&self, channel: &Channel, error: &SendError) -> Fetched {
        let label = match error {
            SendError::Limited => None,
            SendError::NotSent(_) => Some(CallOutcome::Transport),
            SendError::MaybeSent(_) => Some(CallOutcome::Timeout),
        };
        if let Some(label) = label {
            self.metrics.call_answered(&channel.id, Operation::Statement, label);
        }
        Fetched::Trouble(error.to_string())
    }
}

fn no_room(error: &io::Error) -> Fetched {
    Fetched::Trouble(format!("the spool did not take the file: {error}"))
}

fn answered(outcome: &StatementOutcome) -> CallOutcome {
    match outcome {
        StatementOutcome::Download { .. }
        | StatementOutcome::File(_)
        | StatementOutcome::NotReady
        | StatementOutcome::Absent => CallOutcome::Ok,
        StatementOutcome::Failed(failure) => label_of(failure),
    }
}
