//! The Alipay server: `gateway.do` for merchants and payers' browsers, and the notifies.
//!
//! Parameters may stand in the query, in the body or in both; the answer is HTTP 200 with a signed node
//! whatever happened (protocol notes 1 to 4). Guards: nothing is booked for a call that did not pass the
//! gateway's checks, and what is booked is booked in one step of the ledger. Must not know: WeChat, UnionPay.

mod answer;
mod biz;
mod create;
mod front;
mod md5;
mod notify;
mod refund;
mod request;
mod sign;
mod statement;
mod statement_rows;
mod trade;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, header},
    routing::{get, post},
};

use answer::{Node, Refusal};
use create::Desk;
pub(crate) use refund::request_no;
use request::{Call, Method, Rejected};

use crate::{
    callbacks,
    faults::{Drawn, FaultKind, Operation, Scope},
    formats::{
        beijing,
        form::{self, Fields},
    },
    ledger::{Book, Order, OrderKey, Payment, Refund, RefundKey, RefundState},
    options::ProviderName,
    payers::{self, ScanRequest},
    refunds, serve,
    wire::{Event, OutgoingCallback, Sending, Wire},
    world::World,
};

/// The protocol, without state.
pub(crate) struct Alipay;

impl Wire for Alipay {
    fn provider(&self) -> ProviderName {
        ProviderName::Alipay
    }

    fn router(&self, world: &Arc<World>) -> Router {
        Router::new()
            .route("/gateway.do", get(gateway).post(gateway))
            .route("/cashier/pay", post(pay))
            .route("/downloadBillFile.resource", get(statement::download))
            .with_state(world.clone())
    }

    fn trade_no(&self, world: &World, _order: &Order) -> String {
        create::new_trade_no(&world.dice, world.now())
    }

    fn payer(&self, _world: &World, order: &Order) -> String {
        order.field("buyer_id").to_owned()
    }

    fn filled(&self, world: &World, order: &mut Order, at: i64) -> Payment {
        let trade_no = create::filled(order, &world.dice, at);
        Payment { trade_no, amount: order.amount, paid_at: at, payer: order.field("buyer_id").to_owned() }
    }

    fn filled_refund(&self, world: &World, refund: &mut Refund, at: i64) {
        refund.refund_trade_no = format!("{}{:020}", beijing::compact_day(at), world.dice.roll());
        refund.fields.insert("reason".to_owned(), String::new());
    }

    /// 4 m, 10 m, 10 m, 1 h, 2 h, 6 h, 15 h.
    fn retry_waits_s(&self) -> &'static [u64] {
        &[240, 600, 600, 3600, 7200, 21_600, 54_000]
    }

    fn callback(&self, world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
        notify::write(world, sending)
    }

    fn acknowledged(&self, status: u16, body: &[u8]) -> bool {
        status == 200 && body == b"success"
    }

    /// An order string, or the address of a cashier with its parameters.
    fn visit(&self, world: &World, opened: &str) -> Option<OrderKey> {
        let text = opened.split_once('?').map_or(opened, |(_, query)| query);
        let fields = form::decode(text)?;
        let keys = request::field(&fields, "app_id").and_then(|app_id| world.keys.alipay(app_id));
        let call = request::check(&fields, keys).ok().filter(|call| call.method.is_front())?;
        let visited = world.ledger.change(|book| create::visit(book, &call, &desk(world, &call)));
        visited.ok().map(|(key, _)| key)
    }

    fn scanned(&self, world: &World, book: &mut Book, key: &OrderKey) {
        let desk = Desk { dice: &world.dice, now: world.now(), seller_id: "" };
        create::begin(book, key, &desk);
    }
}

async fn gateway(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default().to_owned();
    let Some(fields) = read(request).await else {
        let refusal = Refusal::invalid("isv.invalid-parameter", "参数无效");
        return json(answer::unsigned("", &refusal.node()));
    };
    let keys = request::field(&fields, "app_id").and_then(|app_id| world.keys.alipay(app_id));
    match request::check(&fields, keys) {
        Err(rejected) => reject(&world, &fields, &rejected),
        Ok(call) if call.method.is_front() => open_cashier(&world, &call).await,
        Ok(call) => {
            operate(&world, &Call { host, ..call }, request::field(&fields, "method").unwrap_or_default()).await
        }
    }
}

async fn read(request: Request) -> Option<Fields> {
    let query = form::decode(request.uri().query().unwrap_or_default())?;
    let body = serve::body_of(request.into_body()).await?;
    request::union(query, form::decode(&String::from_utf8(body).ok()?)?)
}

fn reject(world: &World, fields: &Fields, rejected: &Rejected) -> Response<Body> {
    let value = |name| request::field(fields, name).unwrap_or_default();
    let method = value("method");
    if matches!(method, "alipay.trade.page.pay" | "alipay.trade.wap.pay" | "alipay.trade.app.pay") {
        return front::error(&rejected.refusal);
    }
    let node = rejected.refusal.node();
    match world.keys.alipay(value("app_id")).filter(|_| rejected.signed) {
        Some(keys) => json(answer::signed(method, &node, &keys.alipay, None)),
        None => json(answer::unsigned(method, &node)),
    }
}

async fn open_cashier(world: &Arc<World>, call: &Call) -> Response<Body> {
    let scope = scope(call);
    let mut made = None;
    let refuse = |kind| front::error(&refusal_of(kind, call.method));
    let response = serve::answer(world, &scope, refuse, |_| {
        let visited = world.ledger.change(|book| {
            let (key, fresh) = create::visit(book, call, &desk(world, call))?;
            Ok((book.order(&key).cloned(), fresh))
        });
        match visited {
            Ok((Some(order), fresh)) => {
                made = fresh.then(|| order.key.clone());
                front::cashier(&order)
            }
            Ok((None, _)) => front::message("交易不存在"),
            Err(refusal) => front::error(&refusal),
        }
    })
    .await;
    if let Some(key) = made {
        payers::code_made(world, &key).await;
    }
    response
}

async fn operate(world: &Arc<World>, call: &Call, method: &str) -> Response<Body> {
    let mut made = None;
    let refuse = |kind| write(world, (call, method), &refusal_of(kind, call.method).node(), false);
    let response = serve::answer(world, &scope(call), refuse, |drawn| {
        let node = perform(world, call, drawn, &mut made).unwrap_or_else(|refusal| refusal.node());
        write(world, (call, method), &node, drawn.kind == Some(FaultKind::BadSignature))
    })
    .await;
    if let Some(key) = made {
        payers::code_made(world, &key).await;
    }
    response
}

fn perform(world: &Arc<World>, call: &Call, drawn: &Drawn, made: &mut Option<OrderKey>) -> Result<Node, Refusal> {
    let now = world.now();
    let lagging = drawn.kind == Some(FaultKind::NotFoundLag);
    match call.method {
        Method::Precreate => {
            let (key, node) = world.ledger.change(|book| create::precreate(book, call, &desk(world, call)))?;
            *made = key;
            Ok(node)
        }
        Method::Query if lagging => Err(trade::not_exist()),
        Method::Query => world.ledger.read(|book| trade::query(book, call, now)),
        Method::Close => {
            if drawn.kind == Some(FaultKind::PaidMeanwhile) {
                pay_meanwhile(world, call);
            }
            let (key, node) = world.ledger.change(|book| trade::close(book, call, now))?;
            if let Some(key) = key {
                callbacks::announce(world, Event::Closed(key));
            }
            Ok(node)
        }
        Method::Cancel => cancel(world, call, now),
        Method::Refund => give_back(world, call, drawn),
        Method::RefundQuery => world.ledger.read(|book| refund::query(book, call, lagging)),
        Method::Statement => statement::announce(world, call, drawn.twist),
        Method::PagePay | Method::WapPay | Method::AppPay => Err(biz::wrong("method")),
    }
}

/// A refund ends at once unless a fault says otherwise; then `fund_change` is N and a query tells.
fn give_back(world: &Arc<World>, call: &Call, drawn: &Drawn) -> Result<Node, Refusal> {
    let now = world.now();
    let at_once =
        drawn.refund_delay_s.is_none() && drawn.refund_state.is_none_or(|state| state == RefundState::Success);
    let (node, booked) = world.ledger.change(|book| {
        let asked = refund::refund(book, call, &world.dice, now)?;
        let moved = at_once && asked.booked.as_ref().is_some_and(|key| book.end_refund(key, RefundState::Success, now));
        Ok((refund::answer(book, &asked, moved, now), asked.booked))
    })?;
    match booked {
        Some(key) if at_once => callbacks::announce(world, Event::Refunded(key)),
        Some(key) => refunds::settle(world, key, drawn),
        None => {}
    }
    Ok(node)
}

fn cancel(world: &Arc<World>, call: &Call, now: i64) -> Result<Node, Refusal> {
    let (node, refunded) = world.ledger.change(|book| {
        Ok(match trade::cancel(book, call, now)? {
            trade::Cancelled::Nothing(node) | trade::Cancelled::Closed(node) => (node, None),
            trade::Cancelled::Refund(node, order) => {
                let key = refund::of_cancel(book, &order, &world.dice, now);
                let key = key.filter(|key: &RefundKey| book.end_refund(key, RefundState::Success, now));
                (node, key)
            }
        })
    })?;
    if let Some(key) = refunded {
        callbacks::announce(world, Event::Refunded(key));
    }
    Ok(node)
}

/// The race every merchant must survive: the payer pays just before the close.
fn pay_meanwhile(world: &Arc<World>, call: &Call) {
    let order_no = call.biz.get("out_trade_no").and_then(|value| value.as_str());
    if let Some(order_no) = order_no {
        let request = ScanRequest::order(ProviderName::Alipay, call.app_id.clone(), order_no);
        if let Err(reason) = payers::scan(world, &request) {
            tracing::debug!(%reason, "nobody paid before the close");
        }
    }
}

async fn pay(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let fields = read(request).await.unwrap_or_default();
    let value = |name| request::field(&fields, name).unwrap_or_default();
    let key = trade::key(value("app_id"), value("out_trade_no"));
    let asked = ScanRequest::order(key.provider, key.account.clone(), key.order_no.clone());
    if let Err(reason) = payers::scan(&world, &asked) {
        return front::message(&format!("无法付款: {reason}"));
    }
    match world.ledger.read(|book| book.order(&key).cloned()) {
        Some(order) => front::back(&world, &order),
        None => front::message("交易不存在"),
    }
}

fn refusal_of(kind: FaultKind, method: Method) -> Refusal {
    match (kind, method) {
        (FaultKind::Congested, _) => Refusal::congested(),
        (FaultKind::Declined, Method::Refund) => Refusal::business("ACQ.TRADE_NOT_ALLOW_REFUND", "当前交易不允许退款"),
        (FaultKind::Declined, _) => Refusal::business("ACQ.PAYMENT_REQUEST_HAS_RISK", "支付有风险"),
        (FaultKind::NoAuth, _) => Refusal::business("ACQ.ACCESS_FORBIDDEN", "无权限使用接口"),
        (FaultKind::NotEnough, _) => Refusal::business("ACQ.SELLER_BALANCE_NOT_ENOUGH", "卖家余额不足"),
        (FaultKind::Accepted, _) => Refusal::business("ACQ.SYSTEM_ERROR", "接口返回错误"),
        (
            FaultKind::ServerError
            | FaultKind::RefuseConnection
            | FaultKind::HangBeforeCommit
            | FaultKind::HangAfterCommit
            | FaultKind::ErrorAfterCommit
            | FaultKind::BadSignature
            | FaultKind::Html502
            | FaultKind::Truncated
            | FaultKind::NotFoundLag
            | FaultKind::PaidMeanwhile,
            _,
        ) => Refusal::unknown(),
    }
}

fn scope(call: &Call) -> Scope<'_> {
    Scope {
        provider: ProviderName::Alipay,
        account: &call.app_id,
        operation: match call.method {
            Method::Precreate | Method::PagePay | Method::WapPay | Method::AppPay => Operation::Create,
            Method::Query => Operation::Query,
            Method::Close | Method::Cancel => Operation::Close,
            Method::Refund => Operation::Refund,
            Method::RefundQuery => Operation::RefundQuery,
            Method::Statement => Operation::Statement,
        },
    }
}

fn desk<'a>(world: &'a World, call: &Call) -> Desk<'a> {
    let account = world.accounts.alipay.iter().find(|account| account.app_id == call.app_id);
    Desk { dice: &world.dice, now: world.now(), seller_id: account.map_or("", |account| account.seller_id.as_str()) }
}

fn write(world: &World, (call, method): (&Call, &str), node: &Node, badly: bool) -> Response<Body> {
    let Some(keys) = world.keys.alipay(&call.app_id) else {
        return json(answer::unsigned(method, node));
    };
    let sn = sign::cert_sn(&keys.alipay_cert_pem).filter(|_| call.certificate_mode);
    let signed = if badly { answer::badly_signed } else { answer::signed };
    let mut response = json(signed(method, node, &keys.alipay, sn.as_deref()));
    if let Ok(trace) = HeaderValue::from_str(&world.dice.text(32)) {
        response.headers_mut().insert("trace_id", trace);
    }
    response
}

fn json(body: String) -> Response<Body> {
    front::text("text/html;charset=utf-8", body.into_bytes())
}

#[cfg(test)]
mod tests;
