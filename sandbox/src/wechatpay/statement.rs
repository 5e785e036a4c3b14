//! The daily statement (section 1.5): first its address and hash, signed, then the file, unsigned.
//! Guards: the hash is of the uncompressed file; an address lives five minutes and serves its own merchant only; a day is
//! ready at nine the next morning. Must not know: how a row is written.

use std::io::Write;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Response, StatusCode};
use serde_json::{Value, json};

use super::admit::{Admitted, Family, admit};
use super::refusal::Refusal;
use super::statement_rows::{Day, Kind};
use crate::clock::read_rfc3339;
use crate::faults::{Drawn, Operation, StatementTwist};
use crate::serve;
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// A day's statement is ready at nine of the next (section 1.5).
const READY_MS: i64 = DAY_MS + 9 * HOUR_MS;
const AGE_MAX_MS: i64 = 92 * DAY_MS;
const ADDRESS_MS: i64 = 5 * 60_000;

/// What was asked for.
#[derive(Clone, Debug)]
struct Asked {
    bill_date: String,
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
        let file = file(&admitted, &asked, drawn.twist)?;
        let until = world.now().saturating_add(ADDRESS_MS);
        let twist = drawn.twist;
        let marks = [twist.lost_line, twist.extra_line, twist.wrong_line].map(|mark| if mark { '1' } else { '0' });
        let marks: String = marks.iter().collect();
        let gzip = if asked.gzip { "GZIP" } else { "NONE" };
        let token =
            format!("{}.{}.{gzip}.{until}.{marks}.{}", asked.bill_date, asked.kind.name(), admitted.account.mch_id);
        let hash = if twist.wrong_hash { "0".repeat(40) } else { hash(&file) };
        Ok(Some(json!({
            "hash_type": "SHA1",
            "hash_value": hash,
            "download_url": format!("http://{}/v3/billdownload/file?token={token}%3D", admitted.host),
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
        Ok(file) => Response::new(Body::from(file)),
        Err(refusal) => admitted.refuse(&refusal),
    };
    serve::answer(&world, &admitted.scope(Operation::Statement), |kind| admitted.refuse(&Refusal::of_fault(kind)), work)
        .await
}

fn read(admitted: &Admitted) -> Result<Asked, Refusal> {
    let mut asked = Asked { bill_date: String::new(), kind: Kind::All, gzip: false };
    for (name, value) in admitted.parameters() {
        let fits = match (name.as_str(), value.as_str()) {
            ("bill_date", _) => {
                asked.bill_date.clone_from(&value);
                true
            }
            ("bill_type", _) => Kind::named(&value).inspect(|kind| asked.kind = *kind).is_some(),
            ("tar_type", "GZIP") => {
                asked.gzip = true;
                true
            }
            _ => false,
        };
        if !fits {
            return Err(Refusal::parameter(&format!("/query/{name}"), &Value::from(value), "参数不符合要求", "query"));
        }
    }
    let starts_at = day_start(&asked.bill_date).ok_or_else(|| Refusal::invalid_request("bill_date格式不正确"))?;
    let age = admitted.world().now().saturating_sub(starts_at);
    match age {
        ..DAY_MS => Err(Refusal::invalid_request("账单日期不能为今天或未来")),
        DAY_MS..READY_MS => Err(Refusal::new(StatusCode::BAD_REQUEST, "STATEMENT_CREATING", "账单生成中")),
        AGE_MAX_MS.. => Err(Refusal::invalid_request("仅支持三个月内的账单下载申请")),
        READY_MS..AGE_MAX_MS => Ok(asked),
    }
}

/// The day's file, uncompressed.
fn file(admitted: &Admitted, asked: &Asked, twist: StatementTwist) -> Result<Vec<u8>, Refusal> {
    let starts_at = day_start(&asked.bill_date).unwrap_or_default();
    let day = Day {
        mch_id: &admitted.account.mch_id,
        app_id: &admitted.account.app_id,
        starts_at,
        ends_at: starts_at.saturating_add(DAY_MS),
        ready_at: starts_at.saturating_add(READY_MS),
    };
    let text = admitted.world().ledger.read(|book| day.write(book, asked.kind, twist));
    let text = text.ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "NO_STATEMENT_EXIST", "账单文件不存在"))?;
    Ok(text.into_bytes())
}

fn fetch(admitted: &Admitted) -> Result<Vec<u8>, Refusal> {
    let gone = || Refusal::invalid_request("下载地址已失效");
    let parameters = admitted.parameters();
    let [(name, token)] = parameters.as_slice() else {
        return Err(gone());
    };
    let parts: Vec<&str> = token.trim_end_matches('=').split('.').collect();
    let ([bill_date, kind, gzip, until, marks, mch_id], "token") = (parts.as_slice(), name.as_str()) else {
        return Err(gone());
    };
    let until: i64 = until.parse().map_err(|_| gone())?;
    if admitted.world().now() >= until {
        return Err(gone());
    }
    if *mch_id != admitted.account.mch_id {
        return Err(Refusal::new(StatusCode::FORBIDDEN, "NO_AUTH", "商户无权限"));
    }
    let asked =
        Asked { bill_date: (*bill_date).to_owned(), kind: Kind::named(kind).ok_or_else(gone)?, gzip: *gzip == "GZIP" };
    let mark = |index: usize| marks.chars().nth(index) == Some('1');
    let twist = StatementTwist { lost_line: mark(0), extra_line: mark(1), wrong_line: mark(2), wrong_hash: false };
    let plain = file(admitted, &asked, twist)?;
    Ok(if asked.gzip { zipped(&plain) } else { plain })
}

fn zipped(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

fn day_start(bill_date: &str) -> Option<i64> {
    if bill_date.len() != 10 {
        return None;
    }
    read_rfc3339(&format!("{bill_date}T00:00:00+08:00"))
}

fn hash(file: &[u8]) -> String {
    digest(&SHA1_FOR_LEGACY_USE_ONLY, file).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
