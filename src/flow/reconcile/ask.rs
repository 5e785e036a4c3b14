//! A person asks for a day: with the provider's file, or with one of their own.
//!
//! Invariant: the order is durable and in the audit before it is answered; a file that a person hands in goes through
//! the same checks as a provider's, and moves as little by itself.

use super::super::{AuditEntry, Flow};
use crate::ports::{Batch, Reconciliation, ReconciliationStatus, StoreError, Urgency, reconciliation_id};
use crate::spool::Spooled;
use tongdao_core::day::Day;
use tongdao_core::ids::ChannelId;
use tongdao_core::provider::Environment;

/// A day that a person wants reconciled.
#[derive(Debug)]
pub struct AskedDay {
    /// The channel.
    pub channel: ChannelId,
    /// The statement's day.
    pub day: Day,
    /// Who asks.
    pub actor: String,
    /// The file, where the person has one.
    pub file: Option<Spooled>,
}

/// Why a day cannot be reconciled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReconcileRefused {
    /// There is no such channel.
    #[error("there is no such channel")]
    UnknownChannel,
    /// Its provider has no statements.
    #[error("its provider has no statements")]
    NoStatements,
    /// The provider's day is not over.
    #[error("the provider's day is not over")]
    NotOver,
    /// The store did not take it.
    #[error("{0}")]
    Store(#[from] StoreError),
}

impl Flow {
    /// Whether a day can be reconciled at all.
    ///
    /// # Errors
    /// Why not.
    pub fn check_reconcilable(&self, channel: &ChannelId, day: Day) -> Result<(), ReconcileRefused> {
        let known = self.channel(channel).ok_or(ReconcileRefused::UnknownChannel)?;
        let terms = known.provider.statement_terms().ok_or(ReconcileRefused::NoStatements)?;
        let today = Day::of(self.clock.now(), terms.turns_ms);
        // A sandbox may have today's statement, as far as the day has come.
        let sandbox = self.config.load().server.environment == Environment::Sandbox;
        if day < today || (sandbox && day == today) { Ok(()) } else { Err(ReconcileRefused::NotOver) }
    }

    /// Puts a day down for now, whatever it came to before.
    ///
    /// # Errors
    /// `ReconcileRefused`; nothing was changed then.
    pub async fn ask_reconciliation(&self, asked: AskedDay) -> Result<Reconciliation, ReconcileRefused> {
        let AskedDay { channel, day, actor, file } = asked;
        self.check_reconcilable(&channel, day)?;
        let now = self.clock.now();
        self.audit(AuditEntry {
            at: now,
            actor,
            action: "reconcile".to_owned(),
            target: channel.to_string(),
            reason: String::new(),
            until: None,
            override_id: None,
            detail: format!("{day}{}", if file.is_some() { ", with a file of their own" } else { "" }),
        })
        .await?;
        let known = self.store.reconciliation(reconciliation_id(&channel, day)).await?;
        let one = known.unwrap_or_else(|| Reconciliation::new(&channel, day, now));
        let queued = match one.status {
            // A run at work goes on; this order is the next one.
            ReconciliationStatus::Running => one,
            ReconciliationStatus::Queued | ReconciliationStatus::Done | ReconciliationStatus::Failed => {
                let queued = Reconciliation {
                    status: ReconciliationStatus::Queued,
                    started_at: now,
                    finished_at: None,
                    failure: None,
                    ..one
                };
                let batch = Batch { reconciliations: vec![queued.clone()], ..Batch::default() };
                self.store.commit(batch, Urgency::Vital).await?;
                queued
            }
        };
        self.agenda.put(&channel, day, now, file);
        Ok(queued)
    }
}
