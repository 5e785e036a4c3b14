//! How a reconciled day is drawn: finance's words, both sides, where the lines went, and what is left.
//!
//! It adds nothing up: every figure is the daemon's.

use super::DayArgs;
use crate::cli::documents::ReconciliationDoc;
use crate::cli::{out, show};
use serde_json::Value;

pub(super) fn would(day: &DayArgs, known: Option<&Value>) -> String {
    let before = known.and_then(|one| one.get("status")).and_then(Value::as_str);
    let before = before.map_or_else(|| "never was before".to_owned(), |status| format!("before: {status}"));
    format!("{} {} would be reconciled ({before}); nothing was changed", day.channel, day.date)
}

/// The day as finance reads it.
pub(super) fn summary(one: &ReconciliationDoc) -> String {
    let row = |name: &str, count: u64, amount: Option<i64>| {
        vec![name.to_owned(), count.to_string(), amount.map(show::yuan).unwrap_or_default()]
    };
    let mut rows = vec![
        row("渠道 theirs", one.theirs.count, Some(one.theirs.amount)),
        row("我方 ours", one.ours.count, Some(one.ours.amount)),
        row("相符 matched", one.matched, None),
        row("跨日 carried over", one.carried_over, None),
        row("已自愈 repaired", one.repaired, None),
    ];
    for kind in &one.breaks_by_kind {
        rows.push(row(&format!("{} {}", kind.name_zh, kind.kind), kind.count, Some(kind.difference)));
    }
    rows.push(row("差额 difference", one.breaks, Some(one.difference)));
    let head = format!("{} {}: {}", one.channel, one.date, one.status);
    let why = one.failure.as_deref().map(|why| format!("\n{why}")).unwrap_or_default();
    format!("{head}{why}\n\n{}", out::table(&["", ">count", ">yuan"], rows))
}

pub(super) fn table(days: &[ReconciliationDoc]) -> String {
    if days.is_empty() {
        return "no day was reconciled yet".to_owned();
    }
    let row = |one: &ReconciliationDoc| {
        vec![
            one.date.clone(),
            one.channel.clone(),
            one.status.clone(),
            one.theirs.count.to_string(),
            show::yuan(one.theirs.amount),
            one.matched.to_string(),
            one.carried_over.to_string(),
            one.breaks.to_string(),
            show::yuan(one.difference),
            one.failure.clone().unwrap_or_default(),
        ]
    };
    let heading =
        ["date", "channel", "status", ">lines", ">yuan", ">matched", ">carried", ">breaks", ">difference", "why not"];
    out::table(&heading, days.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn day() -> ReconciliationDoc {
        serde_json::from_value(json!({
            "id": "rec_1", "channel": "wechat-main", "date": "2026-12-01", "status": "done",
            "ours": {"count": 2, "amount": 3998}, "theirs": {"count": 3, "amount": 5997},
            "matched": 2, "carried_over": 0, "repaired": 0, "breaks": 1, "difference": 1999, "failure": null,
            "breaks_by_kind": [{"kind": "missing_here", "name_zh": "平台漏单", "count": 1, "difference": 1999}],
            "progress": null
        }))
        .unwrap()
    }

    #[test]
    fn a_day_is_shown_with_finances_names() {
        insta::assert_snapshot!(summary(&day()));
    }

    #[test]
    fn days_stand_in_straight_columns() {
        insta::assert_snapshot!(table(&[day()]));
    }
}
