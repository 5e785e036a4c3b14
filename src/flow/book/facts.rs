//! What is known here of a chunk of lines: whose each is, and whether it was named before.
//!
//! Invariant: a line is found by our number first, by the provider's only where it has none of ours; a second payment
//! of one order never stands for the first. Reads only.

use super::BookOrder;
use crate::ports::{Owner, Reference, Store, StoreError, reconciliation_id};
use std::collections::BTreeMap;
use tongdao_core::day::Day;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::ChargeId;
use tongdao_core::provider::{LineKind, StatementLine};
use tongdao_core::reconcile::{BookedLine, Entry, Known, LineKey, Place};

/// Kind and number by which a line is kept.
pub(super) type Named = (LineKind, String);

/// A line and what is known of it.
pub(super) struct Found {
    pub(super) line: StatementLine,
    pub(super) name: Named,
    pub(super) entry: Option<Entry>,
    pub(super) known: Known,
}

impl Found {
    pub(super) fn charge(&self) -> Option<ChargeId> {
        self.entry.as_ref().map(|entry| entry.charge).or_else(|| self.known.charge())
    }

    /// Whether its entry is of another payment of the same order.
    pub(super) fn is_other_payment(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.is_other_payment(&self.line))
    }
}

/// Finds the entries of a chunk in one read, and by other ways whoever has none.
pub(super) async fn find(
    store: &dyn Store,
    order: &BookOrder,
    lines: Vec<StatementLine>,
) -> Result<Vec<Found>, StoreError> {
    let mut names = Vec::with_capacity(lines.len());
    for line in &lines {
        names.push(name_of(store, order, line).await?);
    }
    let entries = entries_of(store, order, &names).await?;
    let mut found = Vec::with_capacity(lines.len());
    for ((line, name), entry) in lines.into_iter().zip(names).zip(entries) {
        let one = Found { line, name, entry, known: Known::Nobody };
        found.push(further(store, order, one).await?);
    }
    Ok(found)
}

/// The entries of some names, read in the store's order, which touches each of its pages once.
async fn entries_of(store: &dyn Store, order: &BookOrder, names: &[Named]) -> Result<Vec<Option<Entry>>, StoreError> {
    let mut sorted: Vec<(usize, Named)> = names.iter().cloned().enumerate().collect();
    sorted.sort_by(|one, other| one.1.cmp(&other.1));
    let (places, sorted): (Vec<usize>, Vec<Named>) = sorted.into_iter().unzip();
    let read = store.entries_named(&order.channel, &sorted).await?;
    let mut entries: Vec<(usize, Option<Entry>)> = places.into_iter().zip(read).collect();
    entries.sort_by_key(|(place, _)| *place);
    Ok(entries.into_iter().map(|(_, entry)| entry).collect())
}

/// The entries of the order's day that another day's file named.
pub(super) async fn strays_of(store: &dyn Store, order: &BookOrder) -> Result<BTreeMap<Named, Day>, StoreError> {
    let (mut all, mut after) = (BTreeMap::new(), None);
    loop {
        let page = store.strays(&order.channel, order.day, after, super::PAGE).await?;
        let whole = page.len() < super::PAGE;
        after = page.last().map(|last| (last.kind, last.number.clone()));
        all.extend(page.into_iter().map(|stray| ((stray.kind, stray.number), stray.file_day)));
        if whole {
            return Ok(all);
        }
    }
}

/// Whether another day's file names what the line names.
pub(super) async fn is_named_elsewhere(
    store: &dyn Store,
    order: &BookOrder,
    one: &Found,
    strays: &BTreeMap<Named, Day>,
) -> Result<bool, StoreError> {
    let Some(entry) = one.entry.as_ref() else { return Ok(false) };
    if entry.day != order.day {
        // Its own day's line goes first.
        let own = line_on(store, order, &one.name, entry.day).await?;
        return Ok(own.is_some_and(|line| line.ours.is_some()));
    }
    match strays.get(&one.name) {
        Some(day) if *day != order.day => is_named_on(store, order, &one.name, *day).await,
        Some(_) | None => Ok(false),
    }
}

/// Whether a stray of that name still stands in the books of another day.
pub(super) async fn is_named_on(
    store: &dyn Store,
    order: &BookOrder,
    name: &Named,
    day: Day,
) -> Result<bool, StoreError> {
    let line = line_on(store, order, name, day).await?;
    Ok(line.is_some_and(|line| line.place != Place::Break(BreakKind::Duplicate)))
}

/// The first line of that name in the last run of another day.
async fn line_on(
    store: &dyn Store,
    order: &BookOrder,
    name: &Named,
    day: Day,
) -> Result<Option<BookedLine>, StoreError> {
    let id = reconciliation_id(&order.channel, day);
    let key = LineKey { kind: name.0, number: name.1.clone(), ordinal: 0 };
    let Some(line) = store.lines_named(id, &[key]).await?.into_iter().flatten().next() else { return Ok(None) };
    let known = store.reconciliation(id).await?;
    Ok(known.filter(|known| known.run == line.run).map(|_| line))
}

async fn name_of(store: &dyn Store, order: &BookOrder, line: &StatementLine) -> Result<Named, StoreError> {
    let own = match line.kind {
        LineKind::Payment => line.provider_order_no.as_ref(),
        LineKind::Refund => line.provider_refund_no.as_ref(),
    };
    if let Some(number) = own.filter(|number| !number.is_empty()) {
        return Ok((line.kind, number.clone()));
    }
    let Some(tx) = line.provider_trade_no.as_ref().filter(|tx| !tx.is_empty()) else {
        return Ok((line.kind, format!("line {}", line.line)));
    };
    let by_trade = match line.kind {
        LineKind::Payment => order_no_of(store, order, tx).await?,
        LineKind::Refund => None,
    };
    Ok((line.kind, by_trade.unwrap_or_else(|| tx.clone())))
}

/// Our number of the payment that counts under that number of the provider's.
async fn order_no_of(store: &dyn Store, order: &BookOrder, tx: &str) -> Result<Option<String>, StoreError> {
    let reference = Reference::Credit(order.provider.clone(), order.account.clone(), tx.to_owned());
    let Some(Owner::Attempt(charge, attempt)) = store.find(&reference).await? else { return Ok(None) };
    let charge = store.charge(charge).await?;
    let attempt = charge.as_ref().and_then(|charge| charge.attempt(attempt));
    Ok(attempt.map(|attempt| match attempt.provider_trade_no.as_deref() {
        Some(first) if first != tx => Entry::further(&attempt.provider_order_no, tx),
        Some(_) | None => attempt.provider_order_no.clone(),
    }))
}

/// Looks on for a line that its number alone does not settle.
async fn further(store: &dyn Store, order: &BookOrder, mut one: Found) -> Result<Found, StoreError> {
    if one.is_other_payment() {
        let tx = one.line.provider_trade_no.as_deref().unwrap_or_default();
        one.name.1 = Entry::further(&one.name.1, tx);
        let second = store.entries_named(&order.channel, std::slice::from_ref(&one.name)).await?;
        if let Some(second) = second.into_iter().flatten().next() {
            one.entry = Some(second);
        }
    } else if one.entry.is_none() {
        one.known = known(store, order, &one.line).await?;
    }
    Ok(one)
}

async fn known(store: &dyn Store, order: &BookOrder, line: &StatementLine) -> Result<Known, StoreError> {
    let (provider, account) = (&order.provider, &order.account);
    if let (LineKind::Refund, Some(number)) = (line.kind, &line.provider_refund_no) {
        let reference = Reference::ProviderRefund(provider.clone(), account.clone(), number.clone());
        if let Some(Owner::Refund(charge, refund)) = store.find(&reference).await? {
            return Ok(Known::Refund(charge, refund));
        }
    }
    let by_order = line
        .provider_order_no
        .as_ref()
        .map(|number| Reference::ProviderOrder(provider.clone(), account.clone(), number.clone()));
    let by_trade = line
        .provider_trade_no
        .as_ref()
        .map(|number| Reference::Credit(provider.clone(), account.clone(), number.clone()));
    for reference in by_order.into_iter().chain(by_trade) {
        if let Some(Owner::Attempt(charge, attempt)) = store.find(&reference).await? {
            return Ok(Known::Attempt(charge, attempt));
        }
    }
    Ok(Known::Nobody)
}
