//! Every problem document as a caller reads it.

use super::*;
use tongdao_core::provider::ErrorClass;

fn uncollected(class: ErrorClass) -> Uncollected {
    Uncollected {
        charge: "ch_01KCPVWPM00000000000000000".parse().unwrap(),
        detail: "the account is frozen".into(),
        advice: for_payer(class),
        advice_zh: for_payer_zh(class),
    }
}

/// One of each.
fn every_problem() -> Vec<Problem> {
    vec![
        Problem::MalformedRequest("The body is not JSON: expected value at line 1 column 1.".into()),
        Problem::Unauthenticated,
        Problem::Forbidden("This key may only read.".into()),
        Problem::NotFound,
        Problem::MethodNotAllowed,
        Problem::IdempotencyConflict,
        Problem::InvalidState("The charge is past its end.".into()),
        Problem::RequestInProgress { retry_after_s: 3 },
        Problem::WouldLeaveNoChannel("wechatpay would have no channel.".into()),
        Problem::VersionChanged("Nothing was done: the overrides are at version 4.".into()),
        Problem::BodyTooLarge { bytes_max: 65_536 },
        Problem::UnsupportedMediaType("The body must be application/json.".into()),
        Problem::InvalidRequest(vec![
            FieldFault::new("/amount", "must be an integer"),
            FieldFault::new("/colour", "is not known"),
        ]),
        Problem::AmountExceedsRefundable,
        Problem::RateLimited(OverRate { burst: 400, window_s: 2, retry_after_s: 1 }),
        Problem::ChannelRejected(uncollected(ErrorClass::Misconfigured)),
        Problem::NoChannelAvailable(uncollected(ErrorClass::Unavailable)),
        Problem::StoreUnavailable,
        Problem::Overloaded,
    ]
}

#[test]
fn every_code_has_its_document() {
    let problems = every_problem();
    let seen: Vec<Code> = problems.iter().map(Problem::code).collect();
    assert_eq!(seen, Code::ALL);
    for problem in problems {
        let document = serde_json::to_string_pretty(&problem.document("req_1")).unwrap();
        let headers: Vec<String> = problem.headers().iter().map(|(name, value)| format!("{name}: {value}")).collect();
        insta::assert_snapshot!(problem.code().as_str(), format!("{document}\n{}", headers.join("\n")));
    }
}

#[test]
fn refusals_that_pass_say_when_to_come_back() {
    for problem in every_problem() {
        let status = problem.document("").status;
        let response = problem.clone().into_response();
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()[header::CONTENT_TYPE], CONTENT_TYPE);
        let says_when = response.headers().contains_key(header::RETRY_AFTER);
        assert_eq!(says_when, matches!(status, 429 | 503) || problem.code() == Code::RequestInProgress, "{problem:?}");
    }
}

#[test]
fn the_schema_names_the_codes_as_the_documents_do() {
    let schema = serde_json::to_value(<Code as utoipa::PartialSchema>::schema()).unwrap();
    let words: Vec<&str> = schema["enum"].as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words, codes);
}

#[test]
fn a_flow_error_becomes_the_problem_that_the_api_promises() {
    let rows = [
        (FlowError::NotFound, "not_found"),
        (FlowError::Conflict, "idempotency_conflict"),
        (FlowError::InProgress { retry_after_s: 1 }, "request_in_progress"),
        (FlowError::Refused(Refused::ExceedsRefundable), "amount_exceeds_refundable"),
        (FlowError::Refused(Refused::Expired), "invalid_state"),
        (FlowError::Refused(Refused::DeliveryFenced), "invalid_state"),
        (FlowError::Refused(Refused::DeliveryInFlight), "request_in_progress"),
        (FlowError::Store(StoreError::Overloaded), "overloaded"),
        (FlowError::Store(StoreError::Unknown), "store_unavailable"),
        (FlowError::Store(StoreError::Closed), "store_unavailable"),
        (FlowError::Store(StoreError::Changed), "request_in_progress"),
    ];
    for (error, code) in rows {
        assert_eq!(Problem::from(error.clone()).code().as_str(), code, "{error:?}");
    }
}
