//! Orders: native, h5, jsapi and app (section 1.1), with the re-entry rule.
//! Guards: one number names one order for ever; equal parameters give a new code and void the old, other parameters,
//! closed and paid orders are refused. Must not know: how the payer pays.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::admit::{Admitted, Family, admit};
use super::fields::{self, Field, Shape, integer, may, need, text};
use super::refusal::Refusal;
use crate::clock::{beijing, read_rfc3339};
use crate::faults::{Drawn, FaultKind, Operation};
use crate::ledger::{Order, OrderKey, OrderState};
use crate::options::ProviderName;
use crate::payers;
use crate::world::World;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// How far `time_expire` may lie ahead (section 4: the page of 2025-03-31).
const EXPIRE_MAX_MS: i64 = 15 * DAY_MS;
pub(super) const EXPIRE_DEFAULT_MS: i64 = 7 * DAY_MS;
const CODE_MS: i64 = 120 * MINUTE_MS;
const H5_MS: i64 = 5 * MINUTE_MS;
const DETAIL_BYTES_MAX: usize = 6144;

/// The kind of order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Product {
    Native,
    H5,
    Jsapi,
    App,
}

pub(super) async fn native(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    create(&world, Product::Native, request).await
}

pub(super) async fn h5(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    create(&world, Product::H5, request).await
}

pub(super) async fn jsapi(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    create(&world, Product::Jsapi, request).await
}

pub(super) async fn app(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    create(&world, Product::App, request).await
}

async fn create(world: &Arc<World>, product: Product, request: Request) -> Response<Body> {
    let admitted = match admit(world, Family::Transactions, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let mut made = None;
    let work = |drawn: &Drawn| {
        let (key, body) = book(&admitted, product)?;
        // Only an answer that arrives whole hands a payer a code.
        made = matches!(drawn.kind, None | Some(FaultKind::BadSignature)).then_some(key);
        Ok(Some(body))
    };
    let response = admitted.answer(Operation::Create, work).await;
    if let Some(key) = made {
        payers::code_made(world, &key).await;
    }
    response
}

/// Books the order, or finds it again, and answers its new code.
fn book(admitted: &Admitted, product: Product) -> Result<(OrderKey, Value), Refusal> {
    let body = admitted.json()?;
    let wanted = read(admitted, product, &body)?;
    let world = admitted.world();
    let now = world.now();
    let (code, reply) = product.code(world, now);
    let key = wanted.key.clone();
    world.ledger.change(|book| {
        match book.order(&key) {
            Some(earlier) => re_entry(earlier, &wanted, now)?,
            None => {
                refuse_past(&body, now)?;
                book.insert(wanted);
            }
        }
        book.add_code(&key, &code, Some(now.saturating_add(product.code_life_ms())));
        Ok(())
    })?;
    Ok((key, reply))
}

/// Whether the same number may be ordered again (section 1.1).
fn re_entry(earlier: &Order, wanted: &Order, now: i64) -> Result<(), Refusal> {
    match earlier.state {
        OrderState::Paid => Err(Refusal::order_paid()),
        OrderState::Closed => Err(Refusal::order_closed()),
        OrderState::Open | OrderState::Coded if earlier.fingerprint != wanted.fingerprint => {
            Err(Refusal::number_used())
        }
        OrderState::Open | OrderState::Coded if earlier.expires_at.is_some_and(|at| now >= at) => {
            Err(Refusal::invalid_request("订单已过支付截止时间"))
        }
        OrderState::Open | OrderState::Coded => Ok(()),
    }
}

fn read(admitted: &Admitted, product: Product, body: &Value) -> Result<Order, Refusal> {
    fields::check(body, product.fields())?;
    let account = &admitted.account;
    if text(body, "/mchid") != account.mch_id {
        return Err(Refusal::parameter(
            "/body/mchid",
            &Value::from(text(body, "/mchid")),
            "与签名的商户号不一致",
            "body",
        ));
    }
    if text(body, "/appid") != account.app_id {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "APPID_MCHID_NOT_MATCH", "appid和mchid不匹配"));
    }
    check_url(body, "notify_url")?;
    check_rest(body)?;
    let now = admitted.world().now();
    let key = OrderKey {
        provider: ProviderName::Wechatpay,
        account: account.mch_id.clone(),
        order_no: text(body, "/out_trade_no").to_owned(),
    };
    let mut order = Order::new(key, integer(body, "/amount/total"), now);
    order.subject = text(body, "/description").to_owned();
    order.product = product.name().to_owned();
    order.notify_url = Some(text(body, "/notify_url").to_owned());
    order.expires_at = Some(expires_at(body, now)?);
    order.fingerprint = format!("{} {}", product.name(), fields::fingerprint(body));
    for (name, value) in [
        ("appid", text(body, "/appid")),
        ("attach", text(body, "/attach")),
        ("openid", text(body, "/payer/openid")),
        ("device_id", text(body, "/scene_info/device_id")),
        ("trade_type", product.trade_type()),
        ("mode", admitted.mode.name()),
    ] {
        order.fields.insert(name.to_owned(), value.to_owned());
    }
    Ok(order)
}

/// A shorter end than one minute is raised (section 4).
fn expires_at(body: &Value, now: i64) -> Result<i64, Refusal> {
    let asked = text(body, "/time_expire");
    if asked.is_empty() {
        return Ok(now.saturating_add(EXPIRE_DEFAULT_MS));
    }
    let at = read_rfc3339(asked)
        .ok_or_else(|| Refusal::parameter("/body/time_expire", &Value::from(asked), "应为rfc3339格式", "body"))?;
    if at > now.saturating_add(EXPIRE_MAX_MS) {
        return Err(Refusal::parameter("/body/time_expire", &Value::from(asked), "支付截止时间过长", "body"));
    }
    Ok(at.max(now.saturating_add(MINUTE_MS)))
}

/// A new order cannot end before it begins.
fn refuse_past(body: &Value, now: i64) -> Result<(), Refusal> {
    let asked = text(body, "/time_expire");
    if read_rfc3339(asked).is_some_and(|at| at <= now) {
        return Err(Refusal::parameter("/body/time_expire", &Value::from(asked), "支付截止时间早于当前时间", "body"));
    }
    Ok(())
}

/// Absolute and without a query string (section 1.1).
pub(super) fn check_url(body: &Value, name: &str) -> Result<(), Refusal> {
    let url = text(body, &format!("/{name}"));
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    if host.is_some_and(|host| !host.is_empty()) && !url.contains(['?', '#']) {
        return Ok(());
    }
    Err(Refusal::parameter(&format!("/body/{name}"), &Value::from(url), "应为不带参数的完整地址", "body"))
}

fn check_rest(body: &Value) -> Result<(), Refusal> {
    let ip = text(body, "/scene_info/payer_client_ip");
    if body.get("scene_info").is_some() && ip.parse::<IpAddr>().is_err() {
        return Err(Refusal::parameter(
            "/body/scene_info/payer_client_ip",
            &Value::from(ip),
            "不是合法的IP地址",
            "body",
        ));
    }
    let detail = body.get("detail").map(Value::to_string).unwrap_or_default();
    if detail.len() > DETAIL_BYTES_MAX {
        return Err(Refusal::parameter("/body/detail", &Value::from(""), "商品详情过长", "body"));
    }
    Ok(())
}

impl Product {
    fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::H5 => "h5",
            Self::Jsapi => "jsapi",
            Self::App => "app",
        }
    }

    /// H5 orders report `MWEB` (section 1.2).
    fn trade_type(self) -> &'static str {
        match self {
            Self::Native => "NATIVE",
            Self::H5 => "MWEB",
            Self::Jsapi => "JSAPI",
            Self::App => "APP",
        }
    }

    fn code_life_ms(self) -> i64 {
        match self {
            Self::H5 => H5_MS,
            Self::Native | Self::Jsapi | Self::App => CODE_MS,
        }
    }

    fn fields(self) -> &'static [Field] {
        match self {
            Self::Native | Self::App => &PLAIN,
            Self::H5 => &H5,
            Self::Jsapi => &JSAPI,
        }
    }

    /// A new code, and the answer that carries it.
    fn code(self, world: &World, now: i64) -> (String, Value) {
        let prepay_id = format!("wx{}{}", beijing(now, "%Y%m%d%H%M%S"), world.dice.text(20).to_lowercase());
        match self {
            Self::Native => {
                let code_url = format!("weixin://wxpay/bizpayurl?pr={}zz", world.dice.text(7));
                (code_url.clone(), json!({"code_url": code_url}))
            }
            Self::H5 => {
                let package = world.dice.digits(10);
                let h5_url = format!(
                    "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={prepay_id}&package={package}"
                );
                (h5_url.clone(), json!({"h5_url": h5_url}))
            }
            Self::Jsapi | Self::App => (prepay_id.clone(), json!({"prepay_id": prepay_id})),
        }
    }
}

const AMOUNT: Shape = Shape::Object(&[need("total", Shape::Integer(1)), may("currency", Shape::Word(&["CNY"]))]);
const ORDER_NO: Shape = Shape::Number { from: 6, to: 32, extra: "_-|*" };
const GOODS: Shape = Shape::Object(&[
    need("merchant_goods_id", Shape::Text(32)),
    may("wechatpay_goods_id", Shape::Text(32)),
    may("goods_name", Shape::Text(256)),
    need("quantity", Shape::Integer(1)),
    need("unit_price", Shape::Integer(0)),
]);
const DETAIL: Shape = Shape::Object(&[
    may("cost_price", Shape::Integer(0)),
    may("invoice_id", Shape::Text(32)),
    may("goods_detail", Shape::List(&GOODS)),
]);
const STORE: Shape = Shape::Object(&[
    need("id", Shape::Text(32)),
    may("name", Shape::Text(256)),
    may("area_code", Shape::Text(32)),
    may("address", Shape::Text(512)),
]);
const SCENE: Shape = Shape::Object(&[
    need("payer_client_ip", Shape::Text(45)),
    may("device_id", Shape::Text(32)),
    may("store_info", STORE),
]);
const H5_INFO: Shape = Shape::Object(&[
    need("type", Shape::Word(&["Wap", "iOS", "Android"])),
    may("app_name", Shape::Text(64)),
    may("app_url", Shape::Text(128)),
    may("bundle_id", Shape::Text(128)),
    may("package_name", Shape::Text(128)),
]);
const H5_SCENE: Shape = Shape::Object(&[
    need("payer_client_ip", Shape::Text(45)),
    may("device_id", Shape::Text(32)),
    may("store_info", STORE),
    need("h5_info", H5_INFO),
]);
const SETTLE: Shape = Shape::Object(&[may("profit_sharing", Shape::Flag)]);
const LIMITS: Shape = Shape::Word(&["no_balance", "no_credit", "no_debit", "balance_only"]);

const PLAIN: [Field; 14] = fields_of(may("scene_info", SCENE), may("limit_pay", Shape::List(&LIMITS)));
const H5: [Field; 14] = fields_of(need("scene_info", H5_SCENE), may("limit_pay", Shape::List(&LIMITS)));
const JSAPI: [Field; 14] =
    fields_of(may("scene_info", SCENE), need("payer", Shape::Object(&[need("openid", Shape::Text(128))])));

/// What all products take, and the two fields in which they differ.
const fn fields_of(scene: Field, last: Field) -> [Field; 14] {
    [
        need("appid", Shape::Text(32)),
        need("mchid", Shape::Text(32)),
        need("description", Shape::Text(127)),
        need("out_trade_no", ORDER_NO),
        may("time_expire", Shape::Text(64)),
        may("attach", Shape::Text(128)),
        need("notify_url", Shape::Text(255)),
        may("goods_tag", Shape::Text(32)),
        may("support_fapiao", Shape::Flag),
        may("settle_info", SETTLE),
        need("amount", AMOUNT),
        may("detail", DETAIL),
        scene,
        last,
    ]
}
