//! The UnionPay server (ACP 5.1.0): front, app, back and query addresses, and the notifies.
//!
//! Guards: every answer is unencoded `k=v` signed in the request's own method; a money request that is
//! accepted is not yet done; nothing is booked for a request whose signature or certificate number does
//! not hold (protocol notes 2 to 7). Must not know: WeChat Pay, Alipay.

mod codes;
mod front;
mod message;
mod notify;
mod order;
mod query;
mod refund;
mod sign;
mod statement;
mod statement_rows;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, header},
    routing::post,
};

use codes::Code;
use message::Keys;
use order::{Made, Product};
use sign::{Fields, SignMethod};

use crate::{
    callbacks,
    faults::{Drawn, FaultKind, Operation, Scope},
    ledger::{Order, OrderKey, Payment, Refund},
    options::ProviderName,
    payers, refunds, serve,
    wire::{Event, OutgoingCallback, Sending, Wire},
    world::World,
};

/// The protocol, without state.
pub(crate) struct Unionpay;

impl Wire for Unionpay {
    fn provider(&self) -> ProviderName {
        ProviderName::Unionpay
    }

    fn router(&self, world: &Arc<World>) -> Router {
        Router::new()
            .route("/gateway/api/frontTransReq.do", post(open_front))
            .route("/gateway/api/appTransReq.do", post(app))
            .route("/gateway/api/backTransReq.do", post(back))
            .route("/gateway/api/queryTrans.do", post(query_trans))
            .route("/cashier/pay", post(front::pay))
            .route("/", post(file))
            .with_state(world.clone())
    }

    fn trade_no(&self, world: &World, _order: &Order) -> String {
        order::new_query_id(&world.dice, world.now())
    }

    fn payer(&self, _world: &World, _order: &Order) -> String {
        "621226******0048".to_owned()
    }

    fn filled(&self, world: &World, order: &mut Order, at: i64) -> Payment {
        order.product = "qr".to_owned();
        let key = order.key.clone();
        order.fields = order::filled(("01", "07"), &key.account, &key.order_no, at);
        let trade_no = order::filled_query_id(world.statements.next_count(), at);
        Payment { trade_no, amount: order.amount, paid_at: at, payer: self.payer(world, order) }
    }

    fn filled_refund(&self, world: &World, refund: &mut Refund, at: i64) {
        refund.fields = order::filled(("04", "00"), &refund.key.account, &refund.key.refund_no, at);
        refund.refund_trade_no = order::filled_query_id(world.statements.next_count(), at);
    }

    /// Five sends: 1, 2, 4 and 5 minutes between them.
    fn retry_waits_s(&self) -> &'static [u64] {
        &[60, 120, 240, 300]
    }

    fn callback(&self, world: &World, sending: &Sending<'_>) -> Option<OutgoingCallback> {
        notify::write(world, sending)
    }

    fn acknowledged(&self, status: u16, _body: &[u8]) -> bool {
        status == 200 || status == 302
    }

    /// The form of a front order, as its browser would post it.
    fn visit(&self, world: &World, opened: &str) -> Option<OrderKey> {
        let fields = message::read(opened).ok()?;
        let keys = keys(world, &fields).ok()?;
        message::check(&fields, keys).ok()?;
        let chance = (&world.dice, world.now());
        let made = world.ledger.change(|book| order::create(book, &fields, Product::Front, chance));
        made.ok().map(|made| made.key)
    }

    /// Money debited after `payTimeout` is not told of; it goes back by itself.
    fn paid(&self, world: &Arc<World>, key: &OrderKey) {
        let chance = (&world.dice, world.now());
        let late = world.ledger.change(|book| {
            let paid = book.order(key).filter(|order| order::paid_too_late(order)).cloned();
            if let Some(paid) = &paid {
                refund::of_late_payment(book, paid, chance);
            }
            paid.is_some()
        });
        if !late {
            callbacks::announce(world, Event::Paid(key.clone()));
        }
    }
}

async fn open_front(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let (fields, _) = match receive(&world, request).await {
        Ok(received) => received,
        Err(refused) => return front::error(refused.code),
    };
    let scope = scope(&fields, Operation::Create);
    let mut made = None;
    let response = serve::answer(
        &world,
        &scope,
        |kind| front::error(code_of(kind, Operation::Create)),
        |_| {
            let chance = (&world.dice, world.now());
            let opened = world.ledger.change(|book| {
                let opened = order::create(book, &fields, Product::Front, chance)?;
                Ok((book.order(&opened.key).cloned(), opened.fresh))
            });
            match opened {
                Ok((Some(order), fresh)) => {
                    made = fresh.then(|| order.key.clone());
                    front::cashier(&order)
                }
                Ok((None, _)) => front::error(codes::NOT_FOUND),
                Err(code) => front::error(code),
            }
        },
    )
    .await;
    if let Some(key) = made {
        payers::code_made(&world, &key).await;
    }
    response
}

async fn app(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    match receive(&world, request).await {
        Ok((fields, method)) => create(&world, (&fields, method), Product::App).await,
        Err(refused) => refuse(&world, &refused),
    }
}

async fn back(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let (fields, method) = match receive(&world, request).await {
        Ok(received) => received,
        Err(refused) => return refuse(&world, &refused),
    };
    let asked = (&fields, method);
    let kind = |name: &str| fields.get(name).map_or("", String::as_str);
    match (kind("txnType"), kind("txnSubType")) {
        ("01", "07") => create(&world, asked, Product::Qr).await,
        ("04", _) => give_back(&world, asked).await,
        ("00", _) => query(&world, asked).await,
        _ => write(&world, asked, message::echo(&fields, &ECHOED, codes::NO_PERMISSION), false),
    }
}

async fn query_trans(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    match receive(&world, request).await {
        Ok((fields, method)) if fields.get("txnType").is_some_and(|kind| kind == "00") => {
            query(&world, (&fields, method)).await
        }
        Ok((fields, method)) => {
            write(&world, (&fields, method), message::echo(&fields, &ECHOED, codes::BAD_FORMAT), false)
        }
        Err(refused) => refuse(&world, &refused),
    }
}

/// The file address: a day's statement (protocol notes 9).
async fn file(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let (fields, method) = match receive(&world, request).await {
        Ok(received) => received,
        Err(refused) => return refuse(&world, &refused),
    };
    gate(&world, (&fields, method), Operation::Statement, |drawn| statement::answer(&world, &fields, drawn.twist)).await
}

type Asked<'a> = (&'a Fields, SignMethod);

async fn create(world: &Arc<World>, asked: Asked<'_>, product: Product) -> Response<Body> {
    let mut made = None;
    let response = gate(world, asked, Operation::Create, |_| {
        let chance = (&world.dice, world.now());
        let code = world.ledger.change(|book| {
            let Made { key, .. } = order::create(book, asked.0, product, chance)?;
            let code = book.order(&key).and_then(|order| order.codes.last()).cloned();
            made = Some(key);
            Ok(code.unwrap_or_default())
        })?;
        let name = if product == Product::App { "tn" } else { "qrCode" };
        Ok(Fields::from([(name.to_owned(), code)]))
    })
    .await;
    if let Some(key) = made {
        payers::code_made(world, &key).await;
    }
    response
}

async fn give_back(world: &Arc<World>, asked: Asked<'_>) -> Response<Body> {
    gate(world, asked, Operation::Refund, |drawn| {
        let chance = (&world.dice, world.now());
        let (key, query_id) = world.ledger.change(|book| refund::accept(book, asked.0, chance))?;
        refunds::settle(world, key, drawn);
        Ok(Fields::from([("queryId".to_owned(), query_id)]))
    })
    .await
}

async fn query(world: &Arc<World>, asked: Asked<'_>) -> Response<Body> {
    let of_refund = order::key(asked.0).is_ok_and(|key| {
        let key = order::refund_key(&key);
        world.ledger.read(|book| book.refund(&key).is_some())
    });
    let operation = if of_refund { Operation::RefundQuery } else { Operation::Query };
    gate(world, asked, operation, |drawn| {
        if drawn.kind == Some(FaultKind::NotFoundLag) {
            return Err(codes::NOT_FOUND);
        }
        world.ledger.read(|book| query::answer(book, asked.0, world.now()))
    })
    .await
}

/// Runs an operation under the faults of its scope; its fields stand over the echoed ones.
async fn gate(
    world: &Arc<World>,
    asked: Asked<'_>,
    operation: Operation,
    act: impl FnOnce(&Drawn) -> Result<Fields, Code>,
) -> Response<Body> {
    let refused = |kind| write(world, asked, message::echo(asked.0, &ECHOED, code_of(kind, operation)), false);
    serve::answer(world, &scope(asked.0, operation), refused, |drawn| {
        let fields = match act(drawn) {
            Ok(found) => {
                let mut fields = message::echo(asked.0, &ECHOED, codes::SUCCESS);
                fields.extend(found);
                fields
            }
            Err(code) => message::echo(asked.0, &ECHOED, code),
        };
        write(world, asked, fields, drawn.kind == Some(FaultKind::BadSignature))
    })
    .await
}

const ECHOED: [&str; 10] = [
    "version",
    "encoding",
    "txnType",
    "txnSubType",
    "bizType",
    "accessType",
    "merId",
    "orderId",
    "txnTime",
    "reqReserved",
];

/// A request that did not pass the checks, with what could be read of it.
struct Refused {
    code: Code,
    fields: Fields,
}

async fn receive(world: &World, request: Request) -> Result<(Fields, SignMethod), Refused> {
    let body = serve::body_of(request.into_body()).await.and_then(|body| String::from_utf8(body).ok());
    let read = body.ok_or(codes::BAD_FORMAT).and_then(|body| message::read(&body));
    let fields = read.map_err(|code| Refused { code, fields: Fields::new() })?;
    match keys(world, &fields).and_then(|keys| message::check(&fields, keys)) {
        Ok(method) => Ok((fields, method)),
        Err(code) => Err(Refused { code, fields }),
    }
}

fn keys<'a>(world: &'a World, fields: &Fields) -> Result<Keys<'a>, Code> {
    let mer_id = message::need(fields, "merId")?;
    Ok(Keys {
        merchant: world.keys.unionpay(mer_id).ok_or(codes::MERCHANT_STATE)?,
        platform: world.keys.unionpay_platform(),
    })
}

fn refuse(world: &World, refused: &Refused) -> Response<Body> {
    let fields = message::echo(&refused.fields, &ECHOED, refused.code);
    let platform = world.keys.unionpay_platform();
    plain(&message::body(&message::seal_rsa(fields, platform, &platform.leaf)))
}

fn write(world: &World, (asked, method): Asked<'_>, fields: Fields, badly: bool) -> Response<Body> {
    let Ok(keys) = keys(world, asked) else {
        return refuse(world, &Refused { code: codes::MERCHANT_STATE, fields: asked.clone() });
    };
    let mut sealed = message::seal(fields, method, keys);
    if badly {
        sealed.insert("respMsg".to_owned(), "被篡改".to_owned());
    }
    plain(&message::body(&sealed))
}

fn plain(body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    let kind = HeaderValue::from_static("text/html;charset=UTF-8");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn scope(fields: &Fields, operation: Operation) -> Scope<'_> {
    Scope { provider: ProviderName::Unionpay, account: fields.get("merId").map_or("", String::as_str), operation }
}

fn code_of(kind: FaultKind, operation: Operation) -> Code {
    let asks = matches!(operation, Operation::Query | Operation::RefundQuery);
    match kind {
        FaultKind::Congested if asks => codes::TOO_MANY_QUERIES,
        FaultKind::Congested => codes::BUSY,
        FaultKind::ErrorAfterCommit => codes::UNCLEAR,
        FaultKind::Declined => codes::RISK,
        FaultKind::NoAuth => codes::NO_PERMISSION,
        FaultKind::NotEnough => codes::NOT_PASSED,
        FaultKind::Accepted => codes::IN_PROGRESS,
        FaultKind::ServerError
        | FaultKind::RefuseConnection
        | FaultKind::HangBeforeCommit
        | FaultKind::HangAfterCommit
        | FaultKind::BadSignature
        | FaultKind::Html502
        | FaultKind::Truncated
        | FaultKind::NotFoundLag
        | FaultKind::PaidMeanwhile => codes::FAILED,
    }
}

#[cfg(test)]
mod tests;
