//! What an answer's `code` and `sub_code` mean, by operation (section 9).
//!
//! Invariant: only a code that the documents call "not executed" or final is a failure; everything else, the codes
//! of tomorrow included, is `Unknown` and asks again. Business codes are matched by what follows their last dot,
//! since the prefix occurs misspelt and nested (`ACQ.`, `AQC.`, `aop.ACQ.`, none).
//! It knows codes only: signatures and amounts are judged elsewhere.

use tongdao_core::provider::ErrorClass;

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// precreate
    Create,
    /// query
    Query,
    /// close
    Close,
    /// refund
    Refund,
    /// fastpay.refund.query
    RefundQuery,
}

/// What an answer's code says of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The call was done: read the fields.
    Success,
    /// There is no such trade: before the payer scans that is nothing unusual.
    NoTrade,
    /// The trade is already in another state, which a query tells.
    Elsewhere,
    /// Not executed, and not for this asking.
    Failed(ErrorClass),
    /// Not executed now; the same call may do later.
    Later(ErrorClass),
    /// Nobody knows: ask again before anything else.
    Unknown,
}

/// Reads a code. `sub_code` is empty where the answer has none.
pub(super) fn classify(operation: Operation, code: &str, sub_code: &str) -> Meaning {
    match code {
        "10000" => Meaning::Success,
        "20001" | "40001" | "40002" | "40003" | "40006" => Meaning::Failed(ErrorClass::Misconfigured),
        "40005" => Meaning::Failed(ErrorClass::Congested),
        "40004" => business(operation, sub_code.rsplit('.').next().unwrap_or_default()),
        _ => Meaning::Unknown,
    }
}

/// What an answer to a request for a statement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatementMeaning {
    /// There is a file.
    Ready,
    /// There is none; a day whose file is not made yet looks the same.
    Absent,
    /// No, or nobody knows.
    Failed(ErrorClass),
}

/// Reads the code of an answer to a request for a statement, in both spellings that occur (section 7).
pub(super) fn statement(code: &str, sub_code: &str) -> StatementMeaning {
    let suffix = sub_code.rsplit('.').next().unwrap_or_default().to_ascii_uppercase();
    match (classify(Operation::Query, code, sub_code), suffix.as_str()) {
        (Meaning::Success, _) => StatementMeaning::Ready,
        (Meaning::Failed(class) | Meaning::Later(class), _) => StatementMeaning::Failed(class),
        (Meaning::Unknown, "BILL_NOT_EXIST" | "NO_BILL_DATA") if code == "40004" => StatementMeaning::Absent,
        (Meaning::Unknown, "SYSTEM_RATE_LIMIT" | "USER_RATE_LIMIT") => StatementMeaning::Failed(ErrorClass::Congested),
        (
            Meaning::Unknown,
            "INVALID_ARGUMENTS" | "INVAILID_ARGUMENTS" | "BILL_DATE_BEFORE_REGISTRATION" | "TYPE_NOT_SUPPORTED",
        ) => StatementMeaning::Failed(ErrorClass::Rejected),
        (Meaning::Unknown | Meaning::NoTrade | Meaning::Elsewhere, _) => StatementMeaning::Failed(ErrorClass::Unknown),
    }
}

/// Whether a code without a believable signature may still be taken for a fault of our own configuration: the
/// gateway finds these before it knows whose key to sign with, and executes nothing (section 4).
pub(super) fn is_unsigned_misconfiguration(code: &str) -> bool {
    matches!(code, "40001" | "40002" | "40006")
}

/// A code fit for a log, a metric's neighbour and the API: what Alipay's codes are made of and not much of it.
pub(super) fn printable(code: &str, sub_code: &str) -> String {
    let shown = if sub_code.is_empty() { code } else { sub_code };
    shown.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(64).collect()
}

fn business(operation: Operation, suffix: &str) -> Meaning {
    match operation {
        _ if suffix == "TRADE_NOT_EXIST" => Meaning::NoTrade,
        Operation::Create => first_match(CREATE, suffix),
        Operation::Refund => first_match(REFUND, suffix),
        Operation::Close if CLOSE_ELSEWHERE.contains(&suffix) => Meaning::Elsewhere,
        Operation::Query | Operation::Close | Operation::RefundQuery => first_match(ASKING, suffix),
    }
}

fn first_match(table: &[(Meaning, &[&str])], suffix: &str) -> Meaning {
    let is_named = |names: &[&str]| {
        names.iter().any(|name| name.strip_suffix('*').map_or(*name == suffix, |prefix| suffix.starts_with(prefix)))
    };
    table.iter().find(|(_, names)| is_named(names)).map_or(Meaning::Unknown, |(meaning, _)| *meaning)
}

const MISCONFIGURED: Meaning = Meaning::Failed(ErrorClass::Misconfigured);
const DECLINED: Meaning = Meaning::Failed(ErrorClass::Declined);
const REJECTED: Meaning = Meaning::Failed(ErrorClass::Rejected);

const CLOSE_ELSEWHERE: &[&str] =
    &["TRADE_STATUS_ERROR", "REASON_TRADE_STATUS_INVALID", "REASON_ILLEGAL_STATUS", "TRADE_HAS_*"];

/// A name that ends with `*` is a prefix.
const CREATE: &[(Meaning, &[&str])] = &[
    (
        Meaning::Elsewhere,
        &["TRADE_HAS_SUCCESS", "TRADE_HAS_CLOSE", "CONTEXT_INCONSISTENT", "APPLY_PC_MERCHANT_CODE_ERROR"],
    ),
    (
        MISCONFIGURED,
        &[
            "ACCESS_FORBIDDEN",
            "PARTNER_ERROR",
            "INVALID_STORE_ID",
            "INVALID_RECEIVE_ACCOUNT",
            "SELLER_NOT_EXIST",
            "MERCHANT_STATUS_NOT_NORMAL",
            "SELLER_BEEN_BLOCKED",
            "SECONDARY_MERCHANT_*",
            "DEFAULT_SETTLE_RULE_NOT_EXIST",
            "RISK_MERCHANT_IP_NOT_EXIST",
            "ERROR_BUYER_CERTIFY_LEVEL_LIMIT",
        ],
    ),
    (
        DECLINED,
        &[
            "TOTAL_FEE_EXCEED",
            "BEYOND_PAY_RESTRICTION",
            "BEYOND_PER_RECEIPT_*",
            "MERCHANT_PERM_RECEIPT_*",
            "BUYER_PAYMENT_AMOUNT_*",
            "EXIST_FORBIDDEN_WORD",
            "BUYER_SELLER_EQUAL",
            "BUYER_ENABLE_STATUS_FORBID",
            "TRADE_BUYER_NOT_MATCH",
            "BUYER_NOT_EXIST",
            "TRADE_SETTLE_ERROR",
            "PAYMENT_AUTH_CODE_INVALID",
            "PAYMENT_FAIL",
            "BUYER_BALANCE_NOT_ENOUGH",
            "BUYER_BANKCARD_BALANCE_NOT_ENOUGH",
            "ERROR_BALANCE_PAYMENT_DISABLE",
            "PULL_MOBILE_CASHIER_FAIL",
            "MOBILE_PAYMENT_SWITCH_OFF",
            "PAYMENT_REQUEST_HAS_RISK",
            "NO_PAYMENT_INSTRUMENTS_AVAILABLE",
        ],
    ),
    (REJECTED, &["INVALID_PARAMETER", "NOW_TIME_AFTER_EXPIRE_TIME_ERROR", "SUB_GOODS_SIZE_MAX_COUNT"]),
];

const REFUND: &[(Meaning, &[&str])] = &[
    (
        Meaning::Elsewhere,
        &[
            "TRADE_HAS_CLOSE",
            "TRADE_STATUS_ERROR",
            "REASON_TRADE_STATUS_INVALID",
            "REASON_ILLEGAL_STATUS",
            // Our number with another sum: that refund stands, and only a query says what it is.
            "DISCORDANT_REPEAT_REQUEST",
        ],
    ),
    (Meaning::Later(ErrorClass::Declined), &["SELLER_BALANCE_NOT_ENOUGH", "REASON_TRADE_BEEN_FREEZEN"]),
    (MISCONFIGURED, &["ACCESS_FORBIDDEN", "PARTNER_ERROR"]),
    (
        REJECTED,
        &[
            "INVALID_PARAMETER",
            "REFUND_AMT_NOT_EQUAL_TOTAL",
            "REASON_TRADE_REFUND_FEE_ERR",
            "REFUND_FEE_ERROR",
            "TRADE_HAS_FINISHED",
            "TRADE_NOT_ALLOW_REFUND",
            "NOT_ALLOW_PARTIAL_REFUND",
            "ONLINE_TRADE_VOUCHER_NOT_ALLOW_REFUND",
            "CURRENCY_NOT_SUPPORT",
            "ALLOC_AMOUNT_VALIDATE_ERROR",
            "USER_NOT_MATCH_ERR",
            "REFUND_CHARGE_ERROR",
            "REFUND_ACCOUNT_NOT_EXIST",
            "REFUND_ROYALTY_PAYEE_ACCOUNT_NOT_EXIST",
            "CUSTOMER_VALIDATE_ERROR",
            "REFUNDALLOC_UNAUTH_LIMIT",
            "BUYER_ERROR",
            "OVERDRAFT_*",
            "ENTERPRISE_PAY_BIZ_ERROR",
        ],
    ),
];

/// For questions (and closes) only the class matters: no failed question proves anything about the trade.
const ASKING: &[(Meaning, &[&str])] =
    &[(MISCONFIGURED, &["ACCESS_FORBIDDEN", "PARTNER_ERROR"]), (REJECTED, &["INVALID_PARAMETER"])];

#[cfg(test)]
mod tests;
