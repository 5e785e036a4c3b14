//! Payers: by hand (`scan`), or simulated with a habit, in which case every new code is scanned after a drawn delay.
//! Guards: whoever pays, pays through `Book::pay`; a paid order is always announced to the merchant.
//! Must not know: wire formats.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::callbacks;
use crate::faults::{Operation, Scope};
use crate::ledger::{Order, OrderKey, OrderState, PayRefused, Payment};
use crate::options::ProviderName;
use crate::wire::Event;
use crate::world::World;

/// What simulated payers do with a new code. Off by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayerHabits {
    /// Share of codes that get scanned and paid, 0 to 1.
    pub pay_ratio: f64,
    /// Share of codes that get scanned but not paid, 0 to 1.
    pub abandon_ratio: f64,
    /// Shortest wait from code to scan, real ms.
    pub delay_min_ms: u64,
    /// Longest wait from code to scan, real ms.
    pub delay_max_ms: u64,
}

/// A payer's act, by code or by order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanRequest {
    /// A code URL, QR content, `tn`, H5 address or order number.
    pub code: Option<String>,
    /// With `account` and `order_no`: the order instead of a code.
    pub provider: Option<ProviderName>,
    /// `mchid`, `app_id` or `merId`.
    pub account: Option<String>,
    /// The merchant side's number of the order.
    pub order_no: Option<String>,
    /// Fen to pay instead of the order's amount.
    pub amount: Option<i64>,
    /// False: scan only.
    pub pay: bool,
    /// True: pay even a closed or expired order.
    pub late: bool,
}

impl Default for ScanRequest {
    fn default() -> Self {
        Self { code: None, provider: None, account: None, order_no: None, amount: None, pay: true, late: false }
    }
}

impl ScanRequest {
    /// Scans and pays a code.
    pub fn code(code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..Self::default() }
    }

    /// Scans and pays an order by its number.
    pub fn order(provider: ProviderName, account: impl Into<String>, order_no: impl Into<String>) -> Self {
        Self {
            provider: Some(provider),
            account: Some(account.into()),
            order_no: Some(order_no.into()),
            ..Self::default()
        }
    }
}

/// What a scan did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scanned {
    /// Whether money moved.
    pub paid: bool,
    /// The provider's number of the payment.
    pub trade_no: Option<String>,
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    pub account: String,
    /// The merchant side's number of the order.
    pub order_no: String,
}

/// Why a scan did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ScanRefused {
    /// No such code or order.
    #[error("no such code or order")]
    Unknown,
    /// The order is closed.
    #[error("the order is closed")]
    Closed,
    /// The order or its code is past its time, or a newer code replaced this one.
    #[error("the order or its code has expired")]
    Expired,
    /// Somebody paid already.
    #[error("the order is already paid")]
    AlreadyPaid,
    /// The provider takes no payments now.
    #[error("the provider takes no payments now")]
    Silent,
}

/// The habits in force.
#[derive(Debug)]
pub(crate) struct Payers(Mutex<PayerHabits>);

impl Payers {
    pub(crate) fn new(habits: PayerHabits) -> Self {
        Self(Mutex::new(habits))
    }

    pub(crate) fn set(&self, habits: PayerHabits) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = habits;
    }

    pub(crate) fn habits(&self) -> PayerHabits {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A payer scans, and pays unless told otherwise.
pub(crate) fn scan(world: &Arc<World>, request: &ScanRequest) -> Result<Scanned, ScanRefused> {
    let visited = visit(world, request);
    let request = visited.as_ref().unwrap_or(request);
    let order = reach(world, request)?;
    if !request.pay {
        return look(world, &order, request.late);
    }
    let trade_no = settle(world, request, &order)?;
    world.wire(order.key.provider).paid(world, &order.key);
    Ok(scanned(&order.key, Some(trade_no)))
}

/// A payer pays, and nobody is told: the callback is up to the caller.
pub(crate) fn pay_untold(world: &Arc<World>, request: &ScanRequest) -> Result<OrderKey, ScanRefused> {
    let order = reach(world, request)?;
    settle(world, request, &order).map(|_| order.key)
}

/// The order behind a code, if it can be paid at all.
fn reach(world: &Arc<World>, request: &ScanRequest) -> Result<Order, ScanRefused> {
    let order = find(world, request).ok_or(ScanRefused::Unknown)?;
    let now = world.now();
    if !request.late {
        refuse_stale_code(&order, request, now)?;
    }
    if world.faults.silent(order.key.provider, &order.key.account, now) {
        return Err(ScanRefused::Silent);
    }
    let wire = world.wire(order.key.provider);
    world.ledger.change(|book| wire.scanned(world, book, &order.key));
    find(world, request).ok_or(ScanRefused::Unknown)
}

/// Books the payment; answers the provider's number of it.
fn settle(world: &Arc<World>, request: &ScanRequest, order: &Order) -> Result<String, ScanRefused> {
    let wire = world.wire(order.key.provider);
    let trade_no = match order.field("trade_no") {
        "" => wire.trade_no(world, order),
        given => given.to_owned(),
    };
    let payer = wire.payer(world, order);
    let amount = request.amount.unwrap_or(order.amount);
    let payment = Payment { trade_no: trade_no.clone(), amount, paid_at: world.now(), payer };
    world.ledger.change(|book| book.pay(&order.key, payment, request.late)).map_err(refused)?;
    Ok(trade_no)
}

/// A provider tells that an order can now be paid: simulated payers act on it, and a `before_reply` fault pays it and
/// waits until the merchant was called once, before the reply to the create call is sent.
pub(crate) async fn code_made(world: &Arc<World>, key: &OrderKey) {
    let scope = Scope { provider: key.provider, account: &key.account, operation: Operation::Callback };
    if world.faults.before_reply(&scope, world.now()) {
        let request = ScanRequest::order(key.provider, key.account.clone(), key.order_no.clone());
        if scan(world, &request).is_ok() {
            callbacks::first_sending(world, &Event::Paid(key.clone())).await;
        }
        return;
    }
    let habits = world.payers.habits();
    let pay = world.dice.chance(habits.pay_ratio);
    if !pay && !world.dice.chance(habits.abandon_ratio) {
        return;
    }
    let spread = habits.delay_max_ms.saturating_sub(habits.delay_min_ms);
    let delay_ms = habits.delay_min_ms.saturating_add(world.dice.below(spread.saturating_add(1)));
    let request = ScanRequest { pay, ..ScanRequest::order(key.provider, key.account.clone(), key.order_no.clone()) };
    let walker = world.clone();
    world.spawn(async move {
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        if let Err(reason) = scan(&walker, &request) {
            tracing::debug!(%reason, "a simulated payer could not pay");
        }
    });
}

/// A payer may open an order string or a cashier instead of a code: names the order behind it.
fn visit(world: &World, request: &ScanRequest) -> Option<ScanRequest> {
    let code = request.code.as_deref()?;
    if world.ledger.read(|book| book.order_by_code(bare(code)).is_some()) {
        return None;
    }
    let key = world.wires().iter().find_map(|wire| wire.visit(world, code))?;
    Some(ScanRequest {
        code: None,
        provider: Some(key.provider),
        account: Some(key.account),
        order_no: Some(key.order_no),
        ..request.clone()
    })
}

fn find(world: &World, request: &ScanRequest) -> Option<Order> {
    world.ledger.read(|book| {
        if let Some(code) = &request.code {
            return book.order_by_code(bare(code)).cloned();
        }
        let key = OrderKey {
            provider: request.provider?,
            account: request.account.clone()?,
            order_no: request.order_no.clone()?,
        };
        book.order(&key).cloned()
    })
}

/// A code as the provider made it: merchants may append a return address to an H5 address.
fn bare(code: &str) -> &str {
    code.split_once("&redirect_url=").map_or(code, |(code, _)| code)
}

/// Only the newest code of an order is valid, and only for its own life.
fn refuse_stale_code(order: &Order, request: &ScanRequest, now: i64) -> Result<(), ScanRefused> {
    let unpaid = matches!(order.state, OrderState::Open | OrderState::Coded);
    let code = request.code.as_deref().map(bare);
    let current = order.codes.last().map(String::as_str);
    let void = code.is_some_and(|code| code != order.key.order_no && current != Some(code));
    let coded = order.state == OrderState::Coded || code.is_some();
    let outdated =
        coded && order.code_expires_at.is_some_and(|at| now >= at) || order.expires_at.is_some_and(|at| now >= at);
    if unpaid && (void || outdated) { Err(ScanRefused::Expired) } else { Ok(()) }
}

/// A scan without payment: it makes the trade where the provider makes it at the scan.
fn look(world: &World, order: &Order, late: bool) -> Result<Scanned, ScanRefused> {
    let trade_no = world.wire(order.key.provider).trade_no(world, order);
    let payer = world.wire(order.key.provider).payer(world, order);
    world.ledger.change(|book| {
        let Some(order) = book.order_mut(&order.key) else {
            return Err(ScanRefused::Unknown);
        };
        match order.state {
            OrderState::Paid => return Err(ScanRefused::AlreadyPaid),
            OrderState::Closed if !late => return Err(ScanRefused::Closed),
            OrderState::Closed | OrderState::Open => return Ok(()),
            OrderState::Coded => {}
        }
        order.state = OrderState::Open;
        order.fields.insert("trade_no".into(), trade_no.clone());
        order.fields.insert("payer".into(), payer);
        let key = order.key.clone();
        book.name_trade(&key, &trade_no);
        Ok(())
    })?;
    Ok(scanned(&order.key, None))
}

fn scanned(key: &OrderKey, trade_no: Option<String>) -> Scanned {
    Scanned {
        paid: trade_no.is_some(),
        trade_no,
        provider: key.provider,
        account: key.account.clone(),
        order_no: key.order_no.clone(),
    }
}

fn refused(reason: PayRefused) -> ScanRefused {
    match reason {
        PayRefused::Unknown => ScanRefused::Unknown,
        PayRefused::Closed => ScanRefused::Closed,
        PayRefused::Expired => ScanRefused::Expired,
        PayRefused::AlreadyPaid => ScanRefused::AlreadyPaid,
    }
}
