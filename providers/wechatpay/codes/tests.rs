//! Every row of the documents' table of codes, for each operation, as text.

use super::super::stage::refusal;
use super::*;
use tongdao_core::provider::HttpReply;

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(failure) => format!("failed {}", failure.class.as_str()),
        Outcome::Unknown(failure) => format!("unknown {}", failure.class.as_str()),
        Outcome::Absent => "absent".into(),
        Outcome::Pending { .. } | Outcome::Paid(_) | Outcome::Closed => panic!("an error proved {outcome:?}"),
    }
}

fn refund_word(outcome: &RefundOutcome) -> &'static str {
    match outcome {
        RefundOutcome::Later(_) => "later",
        RefundOutcome::Refused(_) => "refused",
        RefundOutcome::Unknown(_) => "unknown",
        RefundOutcome::Absent => "absent",
        RefundOutcome::Succeeded { .. }
        | RefundOutcome::Pending
        | RefundOutcome::Stuck(_)
        | RefundOutcome::Ended(_) => panic!("an error proved {outcome:?}"),
    }
}

#[test]
fn every_documented_code_has_its_class() {
    let rows = [
        // status, code, create, query, refund
        (400, "PARAM_ERROR", "failed rejected", "unknown rejected", "refused"),
        (400, "INVALID_REQUEST", "failed rejected", "unknown rejected", "refused"),
        (401, "SIGN_ERROR", "failed misconfigured", "unknown misconfigured", "later"),
        (403, "NO_AUTH", "failed misconfigured", "unknown misconfigured", "later"),
        (403, "RULE_LIMIT", "failed declined", "unknown declined", "later"),
        (400, "MCH_NOT_EXISTS", "failed misconfigured", "unknown misconfigured", "later"),
        (404, "MCH_NOT_EXISTS", "failed misconfigured", "unknown misconfigured", "later"),
        (400, "APPID_MCHID_NOT_MATCH", "failed misconfigured", "unknown misconfigured", "later"),
        (429, "FREQUENCY_LIMITED", "failed congested", "unknown congested", "unknown"),
        (429, "RATELIMIT_EXCEEDED", "failed congested", "unknown congested", "unknown"),
        (429, "RATE_LIMITED", "failed congested", "unknown congested", "unknown"),
        (500, "SYSTEM_ERROR", "unknown unknown", "unknown unknown", "unknown"),
        (500, "SYSTEMERROR", "unknown unknown", "unknown unknown", "unknown"),
        (500, "BANK_ERROR", "unknown unknown", "unknown unknown", "unknown"),
        (500, "BIZERR_NEED_RETRY", "unknown unknown", "unknown unknown", "unknown"),
        (500, "BIZ_ERR_NEED_RETRY", "unknown unknown", "unknown unknown", "unknown"),
        (502, "SERVICE_UNAVAILABLE", "unknown unavailable", "unknown unavailable", "unknown"),
        (503, "SERVICE_UNAVAILABLE", "unknown unavailable", "unknown unavailable", "unknown"),
        (403, "OUT_TRADE_NO_USED", "unknown unknown", "unknown unknown", "unknown"),
        (400, "ORDER_CLOSED", "unknown unknown", "unknown unknown", "unknown"),
        (400, "ORDERCLOSED", "unknown unknown", "unknown unknown", "unknown"),
        (400, "ORDERPAID", "unknown unknown", "unknown unknown", "unknown"),
        (400, "ORDER_PAID", "unknown unknown", "unknown unknown", "unknown"),
        (400, "OPENID_MISMATCH", "failed declined", "unknown declined", "refused"),
        (400, "INVALID_TRANSACTIONID", "failed rejected", "unknown rejected", "refused"),
        (403, "ACCOUNT_ERROR", "failed declined", "unknown declined", "refused"),
        (403, "TRADE_ERROR", "failed declined", "unknown declined", "refused"),
        (403, "NOT_ENOUGH", "failed declined", "unknown declined", "later"),
        (403, "NOTENOUGH", "failed declined", "unknown declined", "later"),
        (404, "ORDER_NOT_EXIST", "failed misconfigured", "absent", "refused"),
        (404, "ORDERNOTEXIST", "failed misconfigured", "absent", "refused"),
        (404, "RESOURCE_NOT_EXISTS", "failed misconfigured", "absent", "refused"),
        (403, "USER_ACCOUNT_ABNORMAL", "failed declined", "unknown declined", "refused"),
        (403, "REQUEST_BLOCKED", "failed declined", "unknown declined", "refused"),
        (400, "TRADE_OVERDUE", "failed rejected", "unknown rejected", "refused"),
        (400, "REFUND_FEE_MISMATCH", "failed rejected", "unknown rejected", "refused"),
        // codes that nobody documents: by status
        (400, "BRAND_NEW", "failed declined", "unknown declined", "refused"),
        (500, "BRAND_NEW", "unknown unknown", "unknown unknown", "unknown"),
        (504, "BRAND_NEW", "unknown unavailable", "unknown unavailable", "unknown"),
        // a definite code under a 5xx settles nothing
        (500, "PARAM_ERROR", "unknown unknown", "unknown unknown", "unknown"),
        (500, "ORDER_NOT_EXIST", "unknown unknown", "unknown unknown", "unknown"),
        (302, "ORDER_NOT_EXIST", "unknown unknown", "unknown unknown", "unknown"),
        (408, "PARAM_ERROR", "unknown unknown", "unknown unknown", "unknown"),
    ];
    for (status, code, on_create, on_query, on_refund) in rows {
        let reply = refusal(status, code);
        assert_eq!(word(&create(&reply)), on_create, "create {status} {code}");
        assert_eq!(word(&query(&reply)), on_query, "query {status} {code}");
        assert_eq!(refund_word(&refund(&reply)), on_refund, "refund {status} {code}");
        let expected = if on_query == "absent" { "absent" } else { "unknown" };
        assert_eq!(refund_word(&refund_query(&reply)), expected, "refund query {status} {code}");
        assert!(word(&close(&reply)).starts_with("unknown"), "close {status} {code}");
    }
}

#[test]
fn an_answer_without_a_readable_code_is_judged_by_its_status() {
    let rows: [(u16, &[u8], &str, &str); 7] = [
        (404, b"", "failed misconfigured", "unknown"),
        (405, b"", "failed misconfigured", "unknown"),
        (401, b"{}", "failed misconfigured", "later"),
        (403, b"<html>blocked</html>", "failed misconfigured", "unknown"),
        (429, b"", "failed congested", "unknown"),
        (502, b"<html>Bad Gateway</html>", "unknown unavailable", "unknown"),
        (500, br#"{"code":"SYS"#, "unknown unknown", "unknown"),
    ];
    for (status, body, on_create, on_refund) in rows {
        let reply = HttpReply::new(status, "text/html", body);
        assert_eq!(word(&create(&reply)), on_create, "{status}");
        assert!(word(&query(&reply)).starts_with("unknown"), "an order is not absent without the word: {status}");
        assert_eq!(refund_word(&refund(&reply)), on_refund, "{status}");
        assert_eq!(refund_word(&refund_query(&reply)), "unknown", "{status}");
    }
}

#[test]
fn a_failure_names_code_field_and_request_id_but_no_value_and_no_message() {
    let body = br#"{"code":"PARAM_ERROR","message":"canary-message",
        "detail":{"field":"/body/amount/total","value":"canary-value","issue":"x","location":"body"}}"#;
    let mut reply = HttpReply::new(400, "application/json", body.as_slice());
    reply.headers.push(("Request-ID".into(), "08F78BB3AF0610D302-268512771".into()));
    let Outcome::Failed(failure) = create(&reply) else { panic!() };
    assert_eq!(failure.provider_code, "PARAM_ERROR");
    assert_eq!(
        failure.detail,
        "WeChat Pay answered HTTP 400 PARAM_ERROR at /body/amount/total, Request-ID 08F78BB3AF0610D302-268512771"
    );
    let spaced = refusal(400, "NOT A CODE\n");
    let Outcome::Failed(failure) = create(&spaced) else { panic!() };
    assert_eq!(failure.provider_code, "http_400", "what cannot stand in a log line is left out");
}
