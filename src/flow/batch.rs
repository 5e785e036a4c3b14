//! Turns a step into the batch that makes it durable.
//!
//! Invariant: every new attempt and refund claims its number at its provider's account, every payment that counts
//! claims its trade number, and every timed effect becomes a timer of its charge. Pure: no store is asked.

use super::change::Along;
use crate::ports::{Batch, Break, BreakStatus, ChargeWrite, Claim, Owner, Reference, TimerChange};
use std::collections::BTreeMap;
use tongdao_core::attempt::Attempt;
use tongdao_core::charge::{Charge, derived_number};
use tongdao_core::effect::{BreakDraft, BreakKind, Effect, EffectKey, Step};
use tongdao_core::ids::{BreakId, ProviderId};
use tongdao_core::planted::{Defect, planted};
use tongdao_core::refund::Refund;
use tongdao_core::time::UnixMillis;

/// The batch of a step; `None` when there is nothing to write.
pub(crate) fn batch_of(before: Option<&Charge>, step: &Step<Charge>, along: &Along) -> Option<Batch> {
    let charge = &step.next;
    let timers = timers_of(step, along.fired);
    let changed = before != Some(charge);
    let beside = &along.beside;
    let alone = along.claims.is_empty() && along.note.is_none() && beside.breaks.is_empty() && beside.keeps.is_empty();
    if !changed && timers.is_empty() && alone {
        return None;
    }
    let mut claims = along.claims.clone();
    claims.extend(new_claims(before, charge));
    claims.extend(step.effects.iter().filter_map(|effect| credit_of(charge, effect)).flatten());
    Some(Batch {
        charge: Some(ChargeWrite { charge: charge.clone(), read_at_version: before.map(|charge| charge.version) }),
        events: step.events.clone(),
        timers: timers.into_iter().map(|(key, at)| TimerChange { charge: charge.id, key, at }).collect(),
        claims,
        breaks: breaks_of(charge, step).into_iter().chain(beside.breaks.iter().cloned()).collect(),
        keeps: beside.keeps.clone(),
        notes: along.note.iter().chain(&beside.notes).cloned().collect(),
        ..Batch::default()
    })
}

/// Later effects of a step win over earlier ones with the same key.
fn timers_of(step: &Step<Charge>, fired: Option<EffectKey>) -> BTreeMap<EffectKey, Option<UnixMillis>> {
    let mut timers: BTreeMap<EffectKey, Option<UnixMillis>> = fired.into_iter().map(|key| (key, None)).collect();
    for effect in &step.effects {
        match (effect, effect.due()) {
            (_, Some((EffectKey::Attempt(_), _))) if planted(Defect::AttemptTimerDropped) => {}
            (_, Some((EffectKey::Webhook(_), _))) if planted(Defect::WebhookTimerDropped) => {}
            (_, Some((key, at))) => {
                timers.insert(key, Some(at));
            }
            (Effect::Forget(key), None) => {
                timers.insert(*key, None);
            }
            (_, None) => {}
        }
    }
    timers
}

fn new_claims(before: Option<&Charge>, charge: &Charge) -> Vec<Claim> {
    let mut claims = Vec::new();
    if before.is_none() {
        let owner = Owner::Charge(charge.id);
        claims.push(Claim { reference: Reference::Token(charge.token.clone()), owner: owner.clone() });
        claims.push(Claim { reference: Reference::AnyNumber(charge.merchant_order_no.clone(), charge.id), owner });
    }
    for attempt in &charge.attempts {
        if before.is_none_or(|before| before.attempt(attempt.id).is_none()) {
            claims.extend(attempt_claims(charge, attempt));
        }
    }
    for refund in &charge.refunds {
        let same_number = |old: &Refund| old.provider_refund_no == refund.provider_refund_no;
        if !before.and_then(|before| before.refund(refund.id)).is_some_and(same_number) {
            claims.extend(refund_claims(charge, refund));
        }
    }
    claims
}

fn attempt_claims(charge: &Charge, attempt: &Attempt) -> [Claim; 2] {
    let no = attempt.provider_order_no.clone();
    let by_provider = Reference::ProviderOrder(attempt.provider.clone(), attempt.account.clone(), no.clone());
    [
        Claim { reference: by_provider, owner: Owner::Attempt(charge.id, attempt.id) },
        Claim { reference: Reference::AnyNumber(no, charge.id), owner: Owner::Charge(charge.id) },
    ]
}

fn refund_claims(charge: &Charge, refund: &Refund) -> Vec<Claim> {
    let Some(attempt) = charge.attempt(refund.attempt) else { return Vec::new() };
    let owner = Owner::Refund(charge.id, refund.id);
    let no = refund.provider_refund_no.clone();
    let by_provider = Reference::ProviderRefund(attempt.provider.clone(), attempt.account.clone(), no);
    vec![
        Claim { reference: by_provider, owner: owner.clone() },
        Claim { reference: Reference::Refund(refund.id), owner },
    ]
}

fn credit_of(charge: &Charge, effect: &Effect) -> Option<[Claim; 2]> {
    let Effect::Credit { attempt, provider_trade_no } = effect else { return None };
    if planted(Defect::CreditUnclaimed) {
        return None;
    }
    let attempt = charge.attempt(*attempt)?;
    let trade_no = provider_trade_no.clone();
    let credit = Reference::Credit(attempt.provider.clone(), attempt.account.clone(), trade_no.clone());
    Some([
        Claim { reference: credit, owner: Owner::Attempt(charge.id, attempt.id) },
        Claim { reference: Reference::AnyNumber(trade_no, charge.id), owner: Owner::Charge(charge.id) },
    ])
}

fn breaks_of(charge: &Charge, step: &Step<Charge>) -> Vec<Break> {
    if planted(Defect::BreakForgotten) {
        return Vec::new();
    }
    let now = step.events.last().map_or(charge.created_at, |event| event.at);
    let drafts = step.effects.iter().filter_map(|effect| match effect {
        Effect::OpenBreak(draft) => Some(draft),
        Effect::CallProvider { .. }
        | Effect::CallRefund { .. }
        | Effect::SendWebhook { .. }
        | Effect::WakeAt { .. }
        | Effect::Forget(_)
        | Effect::Credit { .. } => None,
    });
    drafts.map(|draft| breach_of(charge, draft, now)).collect()
}

/// A break of a charge; its id follows from what it is about, so that it is opened once.
pub(crate) fn breach_of(charge: &Charge, draft: &BreakDraft, now: UnixMillis) -> Break {
    let attempt = draft.attempt.and_then(|id| charge.attempt(id));
    Break {
        id: break_id_of(charge, draft.kind, draft.provider_trade_no.as_deref().unwrap_or_default()),
        kind: draft.kind,
        status: BreakStatus::Open,
        channel: attempt.map(|attempt| attempt.channel.clone()),
        charge: Some(charge.id),
        attempt: draft.attempt,
        merchant_order_no: Some(charge.merchant_order_no.clone()),
        provider_order_no: attempt.map(|attempt| attempt.provider_order_no.clone()),
        provider_trade_no: draft.provider_trade_no.clone(),
        amount: draft.amount,
        opened_at: now,
        resolved_at: None,
        resolution: None,
        actor: None,
        evidence: draft.evidence.clone(),
    }
}

/// The id of a charge's break: it follows from what the break is about, so that whoever names it means the same.
pub(crate) fn break_id_of(charge: &Charge, kind: BreakKind, key: &str) -> BreakId {
    break_id(charge.created_at, &[&charge.id.to_string(), kind.as_str(), key])
}

/// The breaks of a charge that a step settled.
pub(crate) fn settled_breaks(before: Option<&Charge>, after: &Charge) -> Vec<BreakId> {
    let open = before.map(|before| before.breaks.as_slice()).unwrap_or_default();
    let gone = open.iter().filter(|held| !after.breaks.contains(held));
    gone.map(|(kind, key)| break_id_of(after, *kind, key)).collect()
}

/// The id of the break over a payment at an account for an order number that nobody here knows, whoever tells of it.
pub(crate) fn unknown_order_break_id(
    (provider, account): (&ProviderId, &str),
    provider_trade_no: &str,
    at: UnixMillis,
) -> BreakId {
    break_id(at, &["unknown order", provider.as_str(), account, provider_trade_no])
}

/// An id that follows from the parts (and sorts by `now`).
pub(crate) fn break_id(now: UnixMillis, parts: &[&str]) -> BreakId {
    let bits = u128::from_str_radix(&derived_number(parts), 16).unwrap_or_default();
    BreakId::new(now, bits)
}
