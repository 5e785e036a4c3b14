//! The daily statement: `alipay.data.dataservice.bill.downloadurl.query` answers an address, signed; behind it lies the
//! ZIP, for half a minute and for whoever knows the address (protocol notes 7 and 11).
//!
//! Guards: never today; a day without trades and a day not yet written look the same. Must not know: how a row is written.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderValue, Response, header},
};

use super::{
    answer::{Node, Refusal},
    biz::Biz,
    front, refusal_of,
    request::{self, Call, Method},
    statement_rows::Sheet,
};
use crate::{
    faults::{Drawn, Operation, Scope, StatementTwist},
    formats::{beijing, form, gbk, zip},
    options::ProviderName,
    serve,
    statements::{self, Readiness, Span},
    world::World,
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A day's statement is ready at about nine of the next.
const READY_MS: i64 = DAY_MS + 9 * HOUR_MS;
/// Six years.
const AGE_MAX_MS: i64 = 6 * 365 * DAY_MS;
const ADDRESS_MS: i64 = 30_000;

/// `alipay.data.dataservice.bill.downloadurl.query`.
pub(super) fn announce(world: &World, call: &Call, twist: StatementTwist) -> Result<Node, Refusal> {
    let biz = Biz::of(&call.biz, &["bill_type", "bill_date", "smid"])?;
    if biz.text("bill_type", 20)? != Some("trade") {
        return Err(invalid());
    }
    let day = biz.text("bill_date", 10)?.unwrap_or_default();
    let starts_at = beijing::read_day(day).ok_or_else(invalid)?;
    let span = Span {
        provider: ProviderName::Alipay,
        account: &call.app_id,
        starts_at,
        ends_at: starts_at.saturating_add(DAY_MS),
        ready_at: starts_at.saturating_add(READY_MS),
    };
    match statements::readiness(world, &span, AGE_MAX_MS) {
        Readiness::NotOver | Readiness::TooOld => return Err(invalid()),
        Readiness::Creating => return Err(absent()),
        Readiness::Ready => {}
    }
    let account = world.accounts.alipay.iter().find(|account| account.app_id == call.app_id);
    let seller_id = account.map_or("", |account| account.seller_id.as_str());
    let sheet = Sheet { seller_id, starts_at, written_at: world.now(), twist };
    let file = statements::with_lines(world, &span, twist, |_, lines| archive(&sheet, lines)).ok_or_else(absent)?;
    let name = format!("{seller_id}0156_{}.csv.zip", beijing::compact_day(starts_at));
    let now = world.now();
    let token = world.statements.keep(&call.app_id, &name, file, (now, now.saturating_add(ADDRESS_MS)));
    let asked = [
        ("bizType", "trade"),
        ("userId", seller_id),
        ("fileType", "csv.zip"),
        ("bizDates", &beijing::compact_day(starts_at)),
        ("downloadFileName", &name),
        ("fileId", &token),
    ];
    let address = format!("http://{}/downloadBillFile.resource?{}", call.host, form::encode(&asked));
    Ok(Node::success().with("bill_download_url", address))
}

/// The ZIP, or the page a browser is shown when the address is dead.
pub(super) async fn download(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let fields = form::decode(request.uri().query().unwrap_or_default()).unwrap_or_default();
    let value = |name| request::field(&fields, name).unwrap_or_default();
    let kept = world.statements.kept(value("fileId"), world.now());
    let account = kept.as_ref().map_or("", |kept| kept.account.as_str());
    let scope = Scope { provider: ProviderName::Alipay, account, operation: Operation::Statement };
    let refuse = |kind| front::error(&refusal_of(kind, Method::Statement));
    let work = |_: &Drawn| match &kept {
        None => front::message("下载链接已失效，请重新获取"),
        Some(kept) => {
            let mut response = Response::new(Body::from(kept.bytes.clone()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename={}", kept.name)) {
                headers.insert(header::CONTENT_DISPOSITION, name);
            }
            response
        }
    };
    serve::answer(&world, &scope, refuse, work).await
}

/// The ZIP: the rows, and their summary. The names are GBK without the flag that says what they are.
fn archive(sheet: &Sheet<'_>, lines: &[statements::Line<'_>]) -> Vec<u8> {
    let fault = sheet.twist.fault;
    let folder = if fault.traversal { "../../" } else { "" };
    let stem = format!("{folder}{}0156_{}_业务明细", sheet.seller_id, beijing::compact_day(sheet.starts_at));
    let encoded = |text: Vec<u8>| if fault.wrong_encoding { gbk::to_utf8(&text) } else { text };
    let mut rows = encoded(sheet.rows(lines));
    sheet.twist.cut(&mut rows);
    zip::archive(&[
        (gbk::encode(&format!("{stem}.csv")), zip::Deflated::with_run(&rows, b'#', fault.bomb_mib)),
        (gbk::encode(&format!("{stem}(汇总).csv")), zip::Deflated::of(&encoded(sheet.summary(lines)))),
    ])
}

fn invalid() -> Refusal {
    Refusal::business("isv.invalid_arguments", "参数错误")
}

fn absent() -> Refusal {
    Refusal::business("isp.bill_not_exist", "账单不存在")
}
