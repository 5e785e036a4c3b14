//! The store's port: one durable batch per change, and reads by id, by reference, by due time, by cursor.
//!
//! Invariant: a batch is whole or absent, and durable when `commit` answers `Ok` (S12). A charge is written only over
//! the version that was read (no lost update), a claim is held by one owner for ever (S2, S10), timers move with the
//! state that they belong to (L4). `Unknown` is an answer: nobody may say whether the batch is there.

use super::{BookReads, EntryWrite, Io, LineWrite, Reconciliation, Stray};
use serde::{Deserialize, Serialize};
use tongdao_core::charge::Charge;
use tongdao_core::effect::{BreakKind, EffectKey, Event};
use tongdao_core::ids::{AttemptId, BreakId, ChannelId, ChargeId, MerchantId, ProviderId, ReconciliationId, RefundId};
use tongdao_core::money::Money;
use tongdao_core::reconcile::LineKey;
use tongdao_core::time::UnixMillis;

/// All that one change makes durable.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The charge and the version that it was read at.
    pub charge: Option<ChargeWrite>,
    /// What happened, appended to the charge's events.
    pub events: Vec<Event>,
    /// Timers of the charge.
    pub timers: Vec<TimerChange>,
    /// Names to be taken; refused when another owner has one.
    pub claims: Vec<Claim>,
    /// Breaks opened or changed.
    pub breaks: Vec<Break>,
    /// Our side of the statements.
    pub entries: Vec<EntryWrite>,
    /// Lines of reconciliations, each in its place.
    pub lines: Vec<LineWrite>,
    /// Lines that are no more: another run found another file, or an entry that moved.
    pub gone_lines: Vec<(ReconciliationId, LineKey)>,
    /// Lines that stood in another day's file than their entry's.
    pub strays: Vec<Stray>,
    /// Reconciliations begun or changed.
    pub reconciliations: Vec<Reconciliation>,
    /// Small named values of the daemon (channel health, overrides).
    pub keeps: Vec<(String, Vec<u8>)>,
    /// Raw evidence for the audit trail.
    pub notes: Vec<Vec<u8>>,
}

/// A charge to be written.
#[derive(Debug, Clone)]
pub struct ChargeWrite {
    /// Its new value.
    pub charge: Charge,
    /// The version it was read at; `None` for a new one.
    pub read_at_version: Option<u64>,
}

/// A timer set (`Some`) or cleared (`None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerChange {
    /// Whose.
    pub charge: ChargeId,
    /// Which.
    pub key: EffectKey,
    /// When it is due.
    pub at: Option<UnixMillis>,
}

/// A name that belongs to one owner for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub reference: Reference,
    /// Its owner.
    pub owner: Owner,
}

/// The names by which things are found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A merchant's order number.
    MerchantOrder(MerchantId, String),
    /// A merchant's `Idempotency-Key` on a route.
    Idempotency(MerchantId, &'static str, String),
    /// A merchant's refund number.
    RefundNo(MerchantId, String),
    /// A refund's id.
    Refund(RefundId),
    /// Our order number at a provider's account.
    ProviderOrder(ProviderId, String, String),
    /// Our refund number at a provider's account.
    ProviderRefund(ProviderId, String, String),
    /// A payment at a provider's account: counts once.
    Credit(ProviderId, String, String),
    /// A cashier token.
    Token(String),
    /// Any number that a person may search by: the provider's trade number, our order number, the merchant's.
    AnyNumber(String, ChargeId),
}

/// Who owns a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// A charge.
    Charge(ChargeId),
    /// An attempt of a charge.
    Attempt(ChargeId, AttemptId),
    /// A refund of a charge.
    Refund(ChargeId, RefundId),
    /// A request: the hash of its content and the charge that it made or changed.
    Request(String, ChargeId),
}

impl Owner {
    /// The charge behind the name.
    #[must_use]
    pub const fn charge(&self) -> ChargeId {
        match self {
            Self::Charge(id) | Self::Attempt(id, _) | Self::Refund(id, _) | Self::Request(_, id) => *id,
        }
    }
}

/// A timer that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Whose.
    pub charge: ChargeId,
    /// Which.
    pub key: EffectKey,
    /// When it was due.
    pub at: UnixMillis,
}

/// An event with its place in the charge's history.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// Rises; unique in its charge.
    pub seq: u64,
    /// What happened.
    pub event: Event,
}

/// One page of charges, newest first.
#[derive(Debug, Clone, Default)]
pub struct ChargePage {
    /// The charges.
    pub charges: Vec<Charge>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<ChargeId>,
}

/// How far a break is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakStatus {
    /// A person is needed.
    Open,
    /// A person settled it.
    Resolved,
    /// It mended itself.
    Repaired,
}

/// A difference that has a name and an owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// Its id.
    pub id: BreakId,
    /// What kind.
    pub kind: BreakKind,
    /// How far it is.
    pub status: BreakStatus,
    /// The channel concerned.
    pub channel: Option<ChannelId>,
    /// The charge concerned.
    pub charge: Option<ChargeId>,
    /// The attempt concerned.
    pub attempt: Option<AttemptId>,
    /// The merchant's number.
    pub merchant_order_no: Option<String>,
    /// Our number at the provider.
    pub provider_order_no: Option<String>,
    /// The provider's number.
    pub provider_trade_no: Option<String>,
    /// The sum at stake.
    pub amount: Money,
    /// When it was found.
    pub opened_at: UnixMillis,
    /// When it was settled.
    pub resolved_at: Option<UnixMillis>,
    /// How it was settled.
    pub resolution: Option<String>,
    /// Who settled it.
    pub actor: Option<String>,
    /// What was seen.
    pub evidence: String,
}

/// Who asks, which decides who is turned away first when the store is busy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// New work.
    Sheddable,
    /// Whatever follows from money.
    Vital,
}

/// Why the store did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The charge was changed by somebody else: read it again.
    #[error("the charge was changed meanwhile")]
    Changed,
    /// A name belongs to somebody else.
    #[error("the name is taken")]
    Taken {
        /// The name.
        reference: Box<Reference>,
        /// Its owner.
        owner: Box<Owner>,
    },
    /// Too much is waiting: nothing was changed.
    #[error("the store is overloaded")]
    Overloaded,
    /// Nobody can say whether it was stored; the process must end.
    #[error("the outcome is unknown")]
    Unknown,
    /// The store takes nothing any more.
    #[error("the store is closed")]
    Closed,
    /// Something stored cannot be read.
    #[error("the store could not be read: {0}")]
    Unreadable(String),
}

/// Room on the store's disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Bytes of the disk in all.
    pub total_bytes: u64,
    /// Bytes that the store takes.
    pub store_bytes: u64,
}

impl Space {
    /// Whether so little is left (under 5 %) that new charges must wait; what follows from money goes on.
    #[must_use]
    pub const fn is_scarce(&self) -> bool {
        self.free_bytes < self.total_bytes / 20
    }
}

/// Where everything acknowledged is kept.
pub trait Store: BookReads {
    /// Makes a batch durable, whole.
    fn commit(&self, batch: Batch, urgency: Urgency) -> Io<'_, Result<(), StoreError>>;
    /// A charge.
    fn charge(&self, id: ChargeId) -> Io<'_, Result<Option<Charge>, StoreError>>;
    /// The owner of a name.
    fn find<'a>(&'a self, reference: &'a Reference) -> Io<'a, Result<Option<Owner>, StoreError>>;
    /// The charges that some number belongs to.
    fn find_any<'a>(&'a self, number: &'a str) -> Io<'a, Result<Vec<ChargeId>, StoreError>>;
    /// A charge's events after `after`, oldest first.
    fn events(&self, id: ChargeId, after: u64, limit: usize) -> Io<'_, Result<Vec<StoredEvent>, StoreError>>;
    /// A merchant's charges (everybody's without one), newest first, older than `before`.
    fn charges<'a>(
        &'a self,
        merchant: Option<&'a MerchantId>,
        before: Option<ChargeId>,
        limit: usize,
    ) -> Io<'a, Result<ChargePage, StoreError>>;
    /// A break.
    fn find_break(&self, id: BreakId) -> Io<'_, Result<Option<Break>, StoreError>>;
    /// All breaks, newest first, older than `before`.
    fn breaks(&self, before: Option<BreakId>, limit: usize) -> Io<'_, Result<Vec<Break>, StoreError>>;
    /// A named value.
    fn kept<'a>(&'a self, name: &'a str) -> Io<'a, Result<Option<Vec<u8>>, StoreError>>;
    /// The timers due by `now`, earliest first.
    fn due(&self, now: UnixMillis, limit: usize) -> Io<'_, Result<Vec<Due>, StoreError>>;
    /// The earliest timer's moment.
    fn next_due(&self) -> Io<'_, Result<Option<UnixMillis>, StoreError>>;
    /// Takes a nonce; false when it was seen inside its window. Durable with the next batch.
    fn take_nonce<'a>(
        &'a self,
        key_id: &'a str,
        nonce: &'a str,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Io<'a, Result<bool, StoreError>>;
    /// Batches that wait.
    fn queue_depth(&self) -> usize;
    /// Room on the disk; `None` where there is none to speak of, or it cannot be asked.
    fn space(&self) -> Option<Space>;
    /// Writes what waits and stops.
    fn close(&self) -> Io<'_, ()>;
}
