//! The breaks of a day's books: opened once, found again by what they are about, closed when the difference is gone.
//!
//! Invariant: a break's id follows from its channel, day, kind and number, so that no run opens it twice; what a person
//! resolved stays resolved; a difference that comes back after it mended itself is open again. A difference that the
//! charge has named already gets no second name.

use super::facts::Found;
use super::{BookOrder, PAGE, Placed, kind_of};
use crate::flow::batch::{break_id, unknown_order_break_id};
use crate::ports::{Batch, Break, BreakStatus, LineWrite, Store, StoreError, Urgency};
use std::collections::BTreeMap;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{AttemptId, BreakId, ChargeId};
use tongdao_core::money::Money;
use tongdao_core::provider::{LineKind, LineStatus, StatementLine};
use tongdao_core::reconcile::{BookedLine, Entry, Known, LineKey};
use tongdao_core::time::UnixMillis;

/// The open breaks about goods that were paid and not handed over, by charge.
pub(super) async fn owed(store: &dyn Store) -> Result<BTreeMap<ChargeId, BreakKind>, StoreError> {
    let (mut owed, mut before) = (BTreeMap::new(), None);
    loop {
        let page = store.breaks(before, PAGE).await?;
        before = page.last().map(|last| last.id);
        let whole = page.len() < PAGE;
        let about_goods = |one: &Break| matches!(one.kind, BreakKind::Undelivered | BreakKind::Undeliverable);
        let open = page.into_iter().filter(|one| one.status == BreakStatus::Open && about_goods(one));
        owed.extend(open.filter_map(|one| Some((one.charge?, one.kind))));
        if whole {
            return Ok(owed);
        }
    }
}

/// Opens the break of a line in its place, unless there is one; answers its id.
pub(super) async fn note(
    store: &dyn Store,
    order: &BookOrder,
    (placed, one): (&Placed, &Found),
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<Option<BreakId>, StoreError> {
    let Some(kind) = kind_of(placed.line.place).filter(|_| !placed.verdict.named_by_charge) else { return Ok(None) };
    let attempt = one.entry.as_ref().map(|entry| entry.attempt).or(match one.known {
        Known::Attempt(_, attempt) => Some(attempt),
        Known::Nobody | Known::Refund(..) => None,
    });
    let evidence = evidence(order, &placed.line, one.entry.as_ref());
    open(store, order, &About { kind, line: &placed.line, attempt, evidence, trade_no: None }, now, batch).await
}

/// What a break is about.
pub(super) struct About<'a> {
    pub(super) kind: BreakKind,
    pub(super) line: &'a BookedLine,
    pub(super) attempt: Option<AttemptId>,
    pub(super) evidence: String,
    /// The provider's number, where no line says it.
    pub(super) trade_no: Option<&'a str>,
}

/// Opens a break, unless it is open or was resolved.
pub(super) async fn open(
    store: &dyn Store,
    order: &BookOrder,
    about: &About<'_>,
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<Option<BreakId>, StoreError> {
    if is_named_by_callback(store, order, about).await? {
        return Ok(None);
    }
    let id = id_of(order, about.kind, about.line);
    let again = match store.find_break(id).await? {
        Some(known) if known.status == BreakStatus::Repaired => {
            Some(Break { status: BreakStatus::Open, resolved_at: None, ..known })
        }
        Some(_) => None,
        None => Some(breach(store, order, about, (id, now)).await?),
    };
    batch.breaks.extend(again);
    Ok(Some(id))
}

/// Closes a break whose difference is gone. False when it was not open.
pub(super) async fn close(
    store: &dyn Store,
    id: BreakId,
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<bool, StoreError> {
    let open = store.find_break(id).await?.filter(|known| known.status == BreakStatus::Open);
    let repaired = open.map(|known| Break { status: BreakStatus::Repaired, resolved_at: Some(now), ..known });
    let closed = repaired.is_some();
    batch.breaks.extend(repaired);
    Ok(closed)
}

/// Closes the break that a line was, when it is not the one that it is now.
pub(super) async fn close_old(
    store: &dyn Store,
    order: &BookOrder,
    (old, breach): (&BookedLine, Option<BreakId>),
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let id = kind_of(old.place).map(|kind| id_of(order, kind, old)).filter(|id| breach != Some(*id));
    close_known(store, id, now, batch).await
}

/// Takes away what earlier runs listed as open and this one did not find.
pub(super) async fn sweep(store: &dyn Store, order: &BookOrder, now: UnixMillis) -> Result<(), StoreError> {
    let (id, mut after) = (order.id(), None);
    loop {
        let page = store.open_lines(id, after, PAGE).await?;
        let Some(last) = page.last().map(|last| last.key.clone()) else { return Ok(()) };
        after = Some(last);
        let keys: Vec<LineKey> = page.iter().map(|open| open.key.clone()).collect();
        let lines = store.lines_named(id, &keys).await?;
        let mut batch = Batch::default();
        for (open, line) in page.into_iter().zip(lines) {
            match line.filter(|line| line.run == order.run) {
                Some(line) if line.is_open() => {}
                Some(line) => {
                    close_known(store, open.breach, now, &mut batch).await?;
                    batch.lines.push(LineWrite { reconciliation: id, line, was_open: true, breach: None });
                }
                None => {
                    close_known(store, open.breach, now, &mut batch).await?;
                    batch.gone_lines.push((id, open.key));
                }
            }
        }
        if !(batch.lines.is_empty() && batch.gone_lines.is_empty()) {
            store.commit(batch, Urgency::Vital).await?;
        }
    }
}

async fn close_known(
    store: &dyn Store,
    breach: Option<BreakId>,
    now: UnixMillis,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    if let Some(id) = breach {
        close(store, id, now, batch).await?;
    }
    Ok(())
}

/// Whether a verified callback told of the same payment for an unknown order before.
async fn is_named_by_callback(store: &dyn Store, order: &BookOrder, about: &About<'_>) -> Result<bool, StoreError> {
    let unknown = about.kind == BreakKind::MissingHere && about.line.charge.is_none();
    let stated = about.line.line.as_ref().filter(|_| unknown);
    let Some((tx, at)) = stated.and_then(|stated| Some((stated.provider_trade_no.as_ref()?, stated.at?))) else {
        return Ok(false);
    };
    let id = unknown_order_break_id((&order.provider, &order.account), tx, at);
    Ok(store.find_break(id).await?.is_some())
}

fn id_of(order: &BookOrder, kind: BreakKind, line: &BookedLine) -> BreakId {
    let of = match line.key.kind {
        LineKind::Payment => "payment",
        LineKind::Refund => "refund",
    };
    let ordinal = line.key.ordinal.to_string();
    let day = order.day.to_string();
    let parts = [order.channel.as_str(), &day, kind.as_str(), of, &line.key.number, &ordinal];
    break_id(order.day.midnight(), &parts)
}

async fn breach(
    store: &dyn Store,
    order: &BookOrder,
    about: &About<'_>,
    (id, now): (BreakId, UnixMillis),
) -> Result<Break, StoreError> {
    let line = about.line;
    let charge = match line.charge {
        Some(charge) => store.charge(charge).await?,
        None => None,
    };
    let stated = line.line.as_ref();
    let attempt = about.attempt.and_then(|id| charge.as_ref()?.attempt(id));
    let ours = Money::cny(line.ours.unwrap_or_default().saturating_abs());
    let trade_no = stated.and_then(|stated| stated.provider_trade_no.as_deref()).or(about.trade_no);
    Ok(Break {
        id,
        kind: about.kind,
        status: BreakStatus::Open,
        channel: Some(order.channel.clone()),
        charge: line.charge,
        attempt: about.attempt,
        merchant_order_no: charge.as_ref().map(|charge| charge.merchant_order_no.clone()),
        provider_order_no: attempt
            .map(|attempt| attempt.provider_order_no.clone())
            .or_else(|| stated.and_then(|stated| stated.provider_order_no.clone())),
        provider_trade_no: trade_no.map(str::to_owned),
        amount: stated.map_or(ours, |stated| at_stake(order, about.kind, stated)),
        opened_at: now,
        resolved_at: None,
        resolution: None,
        actor: None,
        evidence: about.evidence.clone(),
    })
}

/// Of a fee only the difference is at stake.
fn at_stake(order: &BookOrder, kind: BreakKind, stated: &StatementLine) -> Money {
    let expected = order.fee.expected(stated.amount.amount);
    match stated.fee.filter(|_| kind == BreakKind::FeeDiffers) {
        Some(fee) => Money { amount: fee.saturating_abs().saturating_sub(expected).saturating_abs(), ..stated.amount },
        None => stated.amount,
    }
}

fn evidence(order: &BookOrder, line: &BookedLine, entry: Option<&Entry>) -> String {
    let Some(stated) = line.line.as_ref() else { return String::new() };
    let status = match stated.status {
        LineStatus::Done => "done",
        LineStatus::Pending => "pending",
        LineStatus::Failed => "failed",
    };
    let (day, number, place) = (order.day, stated.line, &line.key.number);
    let fee = stated.fee.map(|fee| {
        let expected = order.fee.expected(stated.amount.amount);
        format!(", fee {fee} (by contract {expected})")
    });
    let theirs = format!(
        "statement {day} line {number}, {place}: {} {} {status}{}",
        stated.amount.amount,
        stated.amount.currency,
        fee.unwrap_or_default()
    );
    match entry {
        Some(entry) => format!(
            "{theirs}; here {} {} {:?} on {}",
            entry.amount.amount, entry.amount.currency, entry.status, entry.day
        ),
        None => format!("{theirs}; nothing here"),
    }
}
