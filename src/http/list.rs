//! A merchant's charges, newest first.
//!
//! Invariant: one call looks at a bounded number of charges; a page may be shorter than asked and still have a next one,
//! so that a rare filter costs no more than a common one.

use super::Api;
use super::auth::Signed;
use super::charge_document::ChargeDocument;
use super::dto::Page;
use super::problem::Problem;
use super::query::{Query, moment, one_of, parsed};
use crate::ports::Reference;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use tongdao_core::charge::{Charge, ChargeStatus, Stage};
use tongdao_core::ids::{ChargeId, MerchantId};
use tongdao_core::time::UnixMillis;

/// Charges read at once, and in one call.
const READ_AT_ONCE: usize = 200;
const READ_MAX: usize = 2000;
/// An id is made before its charge is accepted; the two moments are closer than this.
const ID_AHEAD_S: i64 = 60;

#[derive(Debug, Default)]
struct Filter {
    merchant_order_no: Option<String>,
    status: Option<ChargeStatus>,
    stage: Option<Stage>,
    created_after: Option<UnixMillis>,
    created_before: Option<UnixMillis>,
}

/// The merchant's charges, newest first.
#[utoipa::path(
    get, path = "/v1/charges", tag = "charges",
    params(
        ("merchant_order_no" = Option<String>, Query),
        ("status" = Option<super::words::ChargeStatus>, Query),
        ("stage" = Option<super::words::Stage>, Query),
        ("created_after" = Option<String>, Query, description = "RFC 3339, that moment included"),
        ("created_before" = Option<String>, Query, description = "RFC 3339, that moment excluded"),
        ("limit" = Option<u32>, Query, description = "1 to 200, 50 by default"),
        ("cursor" = Option<String>, Query),
    ),
    responses((status = 200, description = "One page", body = Page<ChargeDocument>))
)]
pub(super) async fn handle_list(
    State(api): State<Api>,
    uri: Uri,
    signed: Signed,
) -> Result<Json<Page<ChargeDocument>>, Problem> {
    let mut query = Query::read(&uri)?;
    let filter = Filter {
        merchant_order_no: query.optional("merchant_order_no", parsed("text")),
        status: query.optional("status", one_of(&ChargeStatus::ALL.map(|status| (status.as_str(), status)))),
        stage: query.optional("stage", one_of(&Stage::ALL.map(|stage| (stage.as_str(), stage)))),
        created_after: query.optional("created_after", moment),
        created_before: query.optional("created_before", moment),
    };
    let cursor = query.optional("cursor", parsed::<ChargeId>("a cursor of this list"));
    let limit = query.limit();
    query.finish()?;
    let (charges, next) = match &filter.merchant_order_no {
        Some(no) => (by_number(&api, &signed.merchant, no, &filter).await?, None),
        None => page(&api, &signed.merchant, &filter, cursor, limit).await?,
    };
    let public_url = api.public_url();
    let data = charges.iter().map(|charge| ChargeDocument::of(charge, &public_url)).collect();
    Ok(Json(Page { data, next_cursor: next.map(|id| id.to_string()) }))
}

async fn by_number(api: &Api, merchant: &MerchantId, no: &str, filter: &Filter) -> Result<Vec<Charge>, Problem> {
    let number = Reference::MerchantOrder(merchant.clone(), no.to_owned());
    let Some(owner) = api.flow.store().find(&number).await? else { return Ok(Vec::new()) };
    let charge = api.flow.charge(owner.charge()).await?;
    Ok(if filter.takes(&charge) { vec![charge] } else { Vec::new() })
}

async fn page(
    api: &Api,
    merchant: &MerchantId,
    filter: &Filter,
    cursor: Option<ChargeId>,
    limit: usize,
) -> Result<(Vec<Charge>, Option<ChargeId>), Problem> {
    // Ids sort by time: younger charges need not be read.
    let newest = filter.created_before.map(|at| ChargeId::new(at, 0));
    let mut before = [cursor, newest].into_iter().flatten().min();
    let mut found: Vec<Charge> = Vec::new();
    let mut read = 0_usize;
    while read < READ_MAX {
        let page = api.flow.store().charges(Some(merchant), before, READ_AT_ONCE).await?;
        let last = page.next.is_none() || page.charges.is_empty();
        for charge in page.charges {
            if filter.is_past(&charge) {
                return Ok((found, None));
            }
            before = Some(charge.id);
            read = read.saturating_add(1);
            if !filter.takes(&charge) {
                continue;
            }
            if found.len() == limit {
                let shown_last = found.last().map(|charge| charge.id);
                return Ok((found, shown_last));
            }
            found.push(charge);
        }
        if last {
            return Ok((found, None));
        }
    }
    Ok((found, before))
}

impl Filter {
    fn takes(&self, charge: &Charge) -> bool {
        self.status.is_none_or(|status| charge.status() == status)
            && self.stage.is_none_or(|stage| charge.stage() == stage)
            && self.created_after.is_none_or(|at| charge.created_at >= at)
            && self.created_before.is_none_or(|at| charge.created_at < at)
    }

    /// Whether this charge and all older ones were made too early.
    fn is_past(&self, charge: &Charge) -> bool {
        self.created_after.is_some_and(|at| charge.created_at < at.plus_s(ID_AHEAD_S.saturating_neg()))
    }
}
