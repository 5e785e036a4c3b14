//! The daily statement (section 1.5): first its address and hash, signed, then the file, unsigned.
//! Guards: the hash is of the uncompressed file; an address lives five minutes and serves its own merchant only; a day is
//! ready at nine the next morning. Must not know: how a row is written.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::admit::{Admitted, Family, admit};
use super::refusal::Refusal;
use super::statement_rows::{Kind, Sheet};
use crate::faults::{Drawn, Operation, StatementTwist};
use crate::formats::{beijing, form, gbk, hash, zip};
use crate::options::ProviderName;
use crate::serve;
use crate::statements::{self, Readiness, Span};
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A day's statement is ready at nine of the next (section 1.5).
const READY_MS: i64 = DAY_MS + 9 * HOUR_MS;
const AGE_MAX_MS: i64 = 92 * DAY_MS;
const ADDRESS_MS: i64 = 5 * 60_000;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    starts_at: i64,
    kind: Kind,
    gzip: bool,
}

pub(super) async fn announce(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let admitted = match admit(&world, Family::Others, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |drawn: &Drawn| {
        let asked = read(&admitted)?;
        let file = file(&admitted, asked, drawn.twist)?;
        let sha1 = hash::hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, &file.plain).as_ref());
        let now = world.now();
        let token = world.statements.keep(
            &admitted.account.mch_id,
            "",
            file.sent.unwrap_or(file.plain),
            (now, now.saturating_add(ADDRESS_MS)),
        );
        Ok(Some(json!({
            "hash_type": "SHA1",
            "hash_value": if drawn.twist.wrong_hash { "0".repeat(40) } else { sha1 },
            "download_url": format!("http://{}/v3/billdownload/file?token={}", admitted.host, form::escape(&token)),
        })))
    };
    admitted.answer(Operation::Statement, work).await
}

pub(super) async fn download(State(world): State<Arc<World>>, request: Request) -> Response<Body> {
    let admitted = match admit(&world, Family::Others, request).await {
        Ok(admitted) => admitted,
        Err(response) => return *response,
    };
    let work = |_: &Drawn| match fetch(&admitted) {
        Ok(body) => Response::new(body),
        Err(refusal) => admitted.refuse(&refusal),
    };
    serve::answer(&world, &admitted.scope(Operation::Statement), |kind| admitted.refuse(&Refusal::of_fault(kind)), work)
        .await
}

fn read(admitted: &Admitted) -> Result<Asked, Refusal> {
    let (mut bill_date, mut kind, mut gzip) = (String::new(), Kind::All, false);
    for (name, value) in admitted.parameters() {
        let fits = match (name.as_str(), value.as_str()) {
            ("bill_date", _) => {
                bill_date.clone_from(&value);
                true
            }
            ("bill_type", _) => Kind::named(&value).inspect(|named| kind = *named).is_some(),
            ("tar_type", "GZIP") => {
                gzip = true;
                true
            }
            _ => false,
        };
        if !fits {
            return Err(Refusal::parameter(&format!("/query/{name}"), &Value::from(value), "参数不符合要求", "query"));
        }
    }
    let starts_at = beijing::read_day(&bill_date).ok_or_else(|| Refusal::invalid_request("bill_date格式不正确"))?;
    match statements::readiness(admitted.world(), &span(admitted, starts_at), AGE_MAX_MS) {
        Readiness::NotOver => Err(Refusal::invalid_request("账单日期不能为今天或未来")),
        Readiness::Creating => Err(Refusal::new(StatusCode::BAD_REQUEST, "STATEMENT_CREATING", "账单生成中")),
        Readiness::TooOld => Err(Refusal::invalid_request("仅支持三个月内的账单下载申请")),
        Readiness::Ready => Ok(Asked { starts_at, kind, gzip }),
    }
}

fn span(admitted: &Admitted, starts_at: i64) -> Span<'_> {
    Span {
        provider: ProviderName::Wechatpay,
        account: &admitted.account.mch_id,
        starts_at,
        ends_at: starts_at.saturating_add(DAY_MS),
        ready_at: starts_at.saturating_add(READY_MS),
    }
}

/// The day's file, and how it goes over the wire where that differs.
struct File {
    plain: Vec<u8>,
    sent: Option<Vec<u8>>,
}

fn file(admitted: &Admitted, asked: Asked, twist: StatementTwist) -> Result<File, Refusal> {
    let span = span(admitted, asked.starts_at);
    let sheet = Sheet { mch_id: &admitted.account.mch_id, app_id: &admitted.account.app_id, span, twist };
    let text =
        statements::with_lines(admitted.world(), &span, twist, |_, lines| sheet.write(lines, asked.kind)).flatten();
    let text = text.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "NO_STATEMENT_EXIST", "账单文件不存在"))?;
    let mut plain = if twist.fault.wrong_encoding { gbk::encode(&text) } else { text.into_bytes() };
    twist.cut(&mut plain);
    let sent = asked.gzip.then(|| zip::Deflated::with_run(&plain, b'\n', twist.fault.bomb_mib).gzip());
    Ok(File { plain, sent })
}

fn fetch(admitted: &Admitted) -> Result<Body, Refusal> {
    let gone = || Refusal::invalid_request("下载地址已失效");
    let parameters = admitted.parameters();
    let [(name, token)] = parameters.as_slice() else {
        return Err(gone());
    };
    let statements = &admitted.world().statements;
    let kept = statements.kept(token, admitted.world().now()).filter(|_| name == "token").ok_or_else(gone)?;
    if kept.account != admitted.account.mch_id {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "NO_AUTH", "商户无权限"));
    }
    Ok(Body::from(kept.bytes))
}
