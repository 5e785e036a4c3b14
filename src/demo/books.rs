//! Adds up the three books of one run: what the providers took, what the daemon says, what the platform shipped.
//!
//! Invariant: they agree only if they agree for every single order, so that two errors never cancel out in a sum.
//! A pure function: it does not know where the books come from.

use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A payment in a provider's ledger. Amounts in fen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) channel: String,
    pub(crate) provider_order_no: String,
    pub(crate) amount: i64,
    /// What has certainly gone back to the payer.
    pub(crate) returned: i64,
}

/// A charge as the daemon's API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) merchant_order_no: String,
    pub(crate) amount: i64,
    pub(crate) attempts: Vec<ClaimedAttempt>,
}

/// One attempt of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedAttempt {
    pub(crate) channel: String,
    pub(crate) provider_order_no: String,
    /// What the daemon says was paid here: the amount, or nothing.
    pub(crate) amount: i64,
    /// What it says has gone back.
    pub(crate) returned: i64,
}

/// An order the platform shipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shipped {
    pub(crate) channel: String,
    pub(crate) merchant_order_no: String,
    pub(crate) amount: i64,
    /// How often goods went out for it.
    pub(crate) times: u64,
}

/// The three books at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    pub(crate) providers: Vec<Taken>,
    pub(crate) daemon: Vec<Claimed>,
    pub(crate) platform: Vec<Shipped>,
}

/// Money in and out in one book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Flowed {
    pub(crate) payments: u64,
    pub(crate) taken: i64,
    pub(crate) refunds: u64,
    pub(crate) returned: i64,
}

/// One channel in all three books.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    pub(crate) channel: String,
    pub(crate) providers: Flowed,
    pub(crate) daemon: Flowed,
    pub(crate) shipments: u64,
    pub(crate) shipped: i64,
}

/// What does not agree, for one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Difference {
    #[error("{provider_order_no} ({channel}): 渠道收款，本系统无此单 taken by the provider, unknown here: {amount}")]
    UnknownHere { channel: String, provider_order_no: String, amount: i64 },
    #[error("{merchant_order_no} / {provider_order_no}: 收款不符 paid there {theirs}, here {ours}")]
    PaymentDiffers { merchant_order_no: String, provider_order_no: String, theirs: i64, ours: i64 },
    #[error("{merchant_order_no} / {provider_order_no}: 退款不符 returned there {theirs}, here {ours}")]
    RefundDiffers { merchant_order_no: String, provider_order_no: String, theirs: i64, ours: i64 },
    #[error("{merchant_order_no}: 已付款未发货 paid {net} and not shipped")]
    NotShipped { merchant_order_no: String, net: i64 },
    #[error("{merchant_order_no}: 重复发货 shipped {times} times")]
    ShippedAgain { merchant_order_no: String, times: u64 },
    #[error("{merchant_order_no}: 未收款已发货 shipped {shipped}, but the providers kept {net}")]
    ShippedUnpaid { merchant_order_no: String, net: i64, shipped: i64 },
    #[error("{merchant_order_no}: 多收未退 {surplus} beyond the price was not refunded")]
    SurplusKept { merchant_order_no: String, surplus: i64 },
}

/// The result: a row a channel, and every order that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Sums {
    pub(crate) rows: Vec<Row>,
    pub(crate) differences: Vec<Difference>,
}

impl Sums {
    /// Whether the three books agree to the fen.
    pub(crate) fn agree(&self) -> bool {
        let kept = |flowed: &Flowed| flowed.taken.saturating_sub(flowed.returned);
        let equal = |row: &Row| kept(&row.providers) == kept(&row.daemon) && kept(&row.daemon) == row.shipped;
        self.differences.is_empty() && self.rows.iter().all(equal)
    }

    /// All channels in one row.
    pub(crate) fn total(&self) -> Row {
        self.rows.iter().fold(Row::default(), |mut sum, row| {
            sum.providers.add(&row.providers);
            sum.daemon.add(&row.daemon);
            sum.shipments = sum.shipments.saturating_add(row.shipments);
            sum.shipped = sum.shipped.saturating_add(row.shipped);
            sum
        })
    }
}

impl Flowed {
    fn add(&mut self, other: &Self) {
        self.payments = self.payments.saturating_add(other.payments);
        self.taken = self.taken.saturating_add(other.taken);
        self.refunds = self.refunds.saturating_add(other.refunds);
        self.returned = self.returned.saturating_add(other.returned);
    }

    fn note(&mut self, amount: i64, returned: i64) {
        self.add(&Self { payments: u64::from(amount > 0), taken: amount, refunds: u64::from(returned > 0), returned });
    }
}

/// Compares the books, order by order and channel by channel.
pub(crate) fn add_up(books: &Books) -> Sums {
    Sums { rows: rows_of(books), differences: differences_of(books) }
}

fn rows_of(books: &Books) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for taken in &books.providers {
        rows.entry(&taken.channel).or_default().providers.note(taken.amount, taken.returned);
    }
    for attempt in books.daemon.iter().flat_map(|charge| &charge.attempts) {
        rows.entry(&attempt.channel).or_default().daemon.note(attempt.amount, attempt.returned);
    }
    for shipped in &books.platform {
        let row = rows.entry(&shipped.channel).or_default();
        let times = i64::try_from(shipped.times).unwrap_or(i64::MAX);
        row.shipments = row.shipments.saturating_add(shipped.times);
        row.shipped = row.shipped.saturating_add(shipped.amount.saturating_mul(times));
    }
    rows.into_iter().map(|(channel, row)| Row { channel: channel.to_owned(), ..row }).collect()
}

fn differences_of(books: &Books) -> Vec<Difference> {
    let taken: BTreeMap<&str, &Taken> = books.providers.iter().map(|t| (t.provider_order_no.as_str(), t)).collect();
    let shipped: BTreeMap<&str, &Shipped> = books.platform.iter().map(|s| (s.merchant_order_no.as_str(), s)).collect();
    let mut found = Vec::new();
    let mut known = BTreeSet::new();
    let mut claimed = BTreeSet::new();
    for charge in &books.daemon {
        claimed.insert(charge.merchant_order_no.as_str());
        let mut net = 0_i64;
        for attempt in &charge.attempts {
            let theirs = taken.get(attempt.provider_order_no.as_str()).map_or((0, 0), |t| (t.amount, t.returned));
            known.insert(attempt.provider_order_no.as_str());
            net = net.saturating_add(theirs.0).saturating_sub(theirs.1);
            compare_attempt(charge, attempt, theirs, &mut found);
        }
        compare_goods(charge, net, shipped.get(charge.merchant_order_no.as_str()).copied(), &mut found);
    }
    let unknown = books.providers.iter().filter(|taken| !known.contains(taken.provider_order_no.as_str()));
    found.extend(unknown.map(|taken| Difference::UnknownHere {
        channel: taken.channel.clone(),
        provider_order_no: taken.provider_order_no.clone(),
        amount: taken.amount,
    }));
    let unasked = books.platform.iter().filter(|shipped| !claimed.contains(shipped.merchant_order_no.as_str()));
    found.extend(unasked.map(|shipped| Difference::ShippedUnpaid {
        merchant_order_no: shipped.merchant_order_no.clone(),
        net: 0,
        shipped: shipped.amount,
    }));
    found
}

fn compare_attempt(charge: &Claimed, attempt: &ClaimedAttempt, theirs: (i64, i64), found: &mut Vec<Difference>) {
    let (merchant_order_no, provider_order_no) = (charge.merchant_order_no.clone(), attempt.provider_order_no.clone());
    if theirs.0 != attempt.amount {
        let (theirs, ours) = (theirs.0, attempt.amount);
        found.push(Difference::PaymentDiffers { merchant_order_no, provider_order_no, theirs, ours });
    } else if theirs.1 != attempt.returned {
        let (theirs, ours) = (theirs.1, attempt.returned);
        found.push(Difference::RefundDiffers { merchant_order_no, provider_order_no, theirs, ours });
    }
}

/// What the providers kept for a charge is the price of what was shipped for it: once, or not at all.
fn compare_goods(charge: &Claimed, net: i64, shipped: Option<&Shipped>, found: &mut Vec<Difference>) {
    let merchant_order_no = charge.merchant_order_no.clone();
    let price = shipped.map_or(charge.amount, |shipped| shipped.amount);
    let surplus = net.saturating_sub(price);
    if surplus > 0 {
        found.push(Difference::SurplusKept { merchant_order_no: merchant_order_no.clone(), surplus });
    }
    match shipped {
        None if net > 0 => found.push(Difference::NotShipped { merchant_order_no, net }),
        None => {}
        Some(Shipped { times, .. }) if *times != 1 => {
            found.push(Difference::ShippedAgain { merchant_order_no, times: *times });
        }
        Some(_) if net < price => {
            found.push(Difference::ShippedUnpaid { merchant_order_no, net, shipped: price });
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests;
