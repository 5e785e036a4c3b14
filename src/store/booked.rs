//! How entries and lines lie in the store: short, since a busy channel has a million of each a day.
//!
//! Invariant: what the key says is not said again in the value, and what is written is read back whole. Only the form
//! differs from the port's words, never the meaning.

use super::{codec, keys};
use crate::ports::{DayEntry, EntryWrite, LineWrite, OpenLine, StoreError, Stray};
use serde::{Deserialize, Serialize};
use tongdao_core::day::Day;
use tongdao_core::effect::BreakKind;
use tongdao_core::ids::{AttemptId, BreakId, ChannelId, ChargeId, RefundId};
use tongdao_core::money::{Currency, Money};
use tongdao_core::provider::{LineKind, LineStatus, StatementLine};
use tongdao_core::reconcile::{BookedLine, Entry, EntryStatus, LineKey, Place};
use tongdao_core::time::UnixMillis;

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

#[derive(Serialize, Deserialize)]
struct ShortEntry {
    d: Day,
    t: String,
    o: ChargeId,
    a: AttemptId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<RefundId>,
    m: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<Currency>,
    s: EntryStatus,
}

#[derive(Serialize, Deserialize)]
struct ShortLine {
    /// The run.
    x: u32,
    p: ShortPlace,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    u: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    o: Option<ChargeId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    l: Option<ShortTheirs>,
}

/// A place in as few letters as it takes: nearly all lines match.
#[derive(Serialize, Deserialize)]
enum ShortPlace {
    #[serde(rename = "m")]
    Matched,
    #[serde(rename = "c")]
    CarriedOver,
    #[serde(rename = "b")]
    Break(BreakKind),
}

#[derive(Serialize, Deserialize)]
struct ShortTheirs {
    n: u64,
    /// The amount, where it is not ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<Currency>,
    /// The status, where the money did not move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    s: Option<LineStatus>,
    /// Our number of the payment, where it is not the key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    q: Option<String>,
    /// Whether the key's number is our number of the payment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    k: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    t: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    a: Option<UnixMillis>,
}

/// The records of an entry: by number, and in the list of its day.
pub(super) fn of_entry(write: &EntryWrite) -> Result<[Pair; 2], StoreError> {
    let entry = &write.entry;
    let short = ShortEntry {
        d: entry.day,
        t: entry.provider_trade_no.clone(),
        o: entry.charge,
        a: entry.attempt,
        r: entry.refund,
        m: entry.amount.amount,
        c: (entry.amount.currency != Currency::CNY).then_some(entry.amount.currency),
        s: entry.status,
    };
    let listed = keys::day_entry(&entry.channel, entry.day, entry.kind, &entry.number);
    Ok([
        (keys::entry(&entry.channel, entry.kind, &entry.number), codec::write(&short)?),
        (listed, codec::write(&(entry.amount.amount, entry.status))?),
    ])
}

/// The entry of that name, as it was written.
pub(super) fn entry(channel: &ChannelId, name: &(LineKind, String), value: &[u8]) -> Result<Entry, StoreError> {
    let short: ShortEntry = codec::read(value)?;
    Ok(Entry {
        channel: channel.clone(),
        day: short.d,
        kind: name.0,
        number: name.1.clone(),
        provider_trade_no: short.t,
        charge: short.o,
        attempt: short.a,
        refund: short.r,
        amount: Money { amount: short.m, currency: short.c.unwrap_or(Currency::CNY) },
        status: short.s,
    })
}

/// An entry in its day's list.
pub(super) fn day_entry(rest: &[u8], value: &[u8]) -> Result<DayEntry, StoreError> {
    let (amount, status) = codec::read(value)?;
    let (kind, number) = keys::name_of(rest).ok_or_else(bad_key)?;
    Ok(DayEntry { kind, number, amount, status })
}

/// The record of a stray.
pub(super) fn of_stray(stray: &Stray) -> Result<Pair, StoreError> {
    let key = keys::stray(&stray.channel, stray.entry_day, stray.kind, &stray.number);
    Ok((key, codec::write(&stray.file_day)?))
}

/// A stray of an entry's day.
pub(super) fn stray(channel: &ChannelId, entry_day: Day, rest: &[u8], value: &[u8]) -> Result<Stray, StoreError> {
    let (kind, number) = keys::name_of(rest).ok_or_else(bad_key)?;
    Ok(Stray { channel: channel.clone(), entry_day, kind, number, file_day: codec::read(value)? })
}

/// The record of a line.
pub(super) fn of_line(write: &LineWrite) -> Result<Pair, StoreError> {
    let BookedLine { key, run, line, ours, charge, place } = &write.line;
    let theirs = line.as_ref().map(|line| {
        let named = line.provider_order_no.as_deref() == Some(key.number.as_str());
        ShortTheirs {
            n: line.line,
            m: (Some(line.amount.amount) != ours.map(i64::abs)).then_some(line.amount.amount),
            c: (line.amount.currency != Currency::CNY).then_some(line.amount.currency),
            s: (line.status != LineStatus::Done).then_some(line.status),
            q: line.provider_order_no.clone().filter(|_| !named),
            k: named,
            t: line.provider_trade_no.clone(),
            r: line.provider_refund_no.clone(),
            f: line.fee,
            a: line.at,
        }
    });
    let short = ShortLine { x: *run, p: ShortPlace::of(*place), u: *ours, o: *charge, l: theirs };
    Ok((keys::line(write.reconciliation, key), codec::write(&short)?))
}

/// The line under that key.
pub(super) fn line(key: LineKey, value: &[u8]) -> Result<BookedLine, StoreError> {
    let short: ShortLine = codec::read(value)?;
    let line = short.l.map(|theirs| StatementLine {
        line: theirs.n,
        kind: key.kind,
        status: theirs.s.unwrap_or(LineStatus::Done),
        provider_order_no: if theirs.k { Some(key.number.clone()) } else { theirs.q },
        provider_trade_no: theirs.t,
        provider_refund_no: theirs.r,
        amount: Money {
            amount: theirs.m.or(short.u.map(i64::abs)).unwrap_or_default(),
            currency: theirs.c.unwrap_or(Currency::CNY),
        },
        fee: theirs.f,
        at: theirs.a,
    });
    Ok(BookedLine { key, run: short.x, line, ours: short.u, charge: short.o, place: short.p.place() })
}

/// The record that lists a line as open.
pub(super) fn of_open_line(write: &LineWrite) -> Result<Pair, StoreError> {
    let key = keys::open_line(write.reconciliation, &write.line.key);
    Ok((key, codec::write(&(ShortPlace::of(write.line.place), write.breach))?))
}

/// A line in the list of open ones.
pub(super) fn open_line(rest: &[u8], value: &[u8]) -> Result<OpenLine, StoreError> {
    let (place, breach): (ShortPlace, Option<BreakId>) = codec::read(value)?;
    let key = keys::line_key_of(rest).ok_or_else(bad_key)?;
    Ok(OpenLine { key, place: place.place(), breach })
}

impl ShortPlace {
    const fn of(place: Place) -> Self {
        match place {
            Place::Matched => Self::Matched,
            Place::CarriedOver => Self::CarriedOver,
            Place::Break(kind) => Self::Break(kind),
        }
    }

    const fn place(&self) -> Place {
        match self {
            Self::Matched => Place::Matched,
            Self::CarriedOver => Place::CarriedOver,
            Self::Break(kind) => Place::Break(*kind),
        }
    }
}

pub(super) fn bad_key() -> StoreError {
    StoreError::Unreadable("a key of a reconciliation is not one".to_owned())
}

#[cfg(test)]
mod tests;
