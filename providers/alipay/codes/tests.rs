//! The documented codes as rows: operation, code, sub code, meaning.

use super::*;

const ROWS: &str = "
create 10000 -                                     success
create 10003 -                                     unknown
create 20000 isp.unknow-error                      unknown
create 20000 aop.ACQ.SYSTEM_ERROR                  unknown
create 20001 aop.invalid-auth-token                failed misconfigured
create 40001 isv.missing-signature                 failed misconfigured
create 40002 isv.invalid-signature                 failed misconfigured
create 40002 isv.invalid-app-id                    failed misconfigured
create 40003 isv.missing-signature-config          failed misconfigured
create 40005 isv.app-call-limited                  failed congested
create 40006 isv.insufficient-isv-permissions      failed misconfigured
create 99999 -                                     unknown
create - -                                         unknown
create 40004 -                                     unknown
create 40004 ACQ.OF_TOMORROW                       unknown
create 40004 ACQ.SYSTEM_ERROR                      unknown
create 40004 AQC.SYSTEM_ERROR                      unknown
create 40004 ACQ.INVALID_PARAMETER                 failed rejected
create 40004 ACQ.TRADE_HAS_SUCCESS                 elsewhere
create 40004 ACQ.TRADE_HAS_CLOSE                   elsewhere
create 40004 ACQ.CONTEXT_INCONSISTENT              elsewhere
create 40004 ACQ.APPLY_PC_MERCHANT_CODE_ERROR      elsewhere
create 40004 ACQ.ACCESS_FORBIDDEN                  failed misconfigured
create 40004 ACQ.PARTNER_ERROR                     failed misconfigured
create 40004 ACQ.SELLER_BEEN_BLOCKED               failed misconfigured
create 40004 ACQ.SECONDARY_MERCHANT_STATUS_ERROR   failed misconfigured
create 40004 ACQ.TOTAL_FEE_EXCEED                  failed declined
create 40004 ACQ.BEYOND_PER_RECEIPT_DAY_RESTRICTION failed declined
create 40004 ACQ.MERCHANT_PERM_RECEIPT_DAY_LIMIT   failed declined
create 40004 ACQ.BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR failed declined
create 40004 ACQ.EXIST_FORBIDDEN_WORD              failed declined
create 40004 ACQ.NOW_TIME_AFTER_EXPIRE_TIME_ERROR  failed rejected
create 40004 ACQ.SUB_GOODS_SIZE_MAX_COUNT          failed rejected
query 10000 -                                      success
query 20000 isp.unknow-error                       unknown
query 40004 ACQ.TRADE_NOT_EXIST                    no_trade
query 40004 TRADE_NOT_EXIST                        no_trade
query 40004 ACQ.SYSTEM_ERROR                       unknown
query 40004 ACQ.INVALID_PARAMETER                  failed rejected
query 40005 isv.method-call-limited                failed congested
close 10000 -                                      success
close 40004 ACQ.TRADE_NOT_EXIST                    no_trade
close 40004 ACQ.TRADE_STATUS_ERROR                 elsewhere
close 40004 ACQ.REASON_TRADE_STATUS_INVALID        elsewhere
close 40004 ACQ.REASON_ILLEGAL_STATUS              elsewhere
close 40004 ACQ.SYSTEM_ERROR                       unknown
refund 10000 -                                     success
refund 20000 isp.unknow-error                      unknown
refund 40004 ACQ.SYSTEM_ERROR                      unknown
refund 40004 ACQ.TRADE_NOT_EXIST                   no_trade
refund 40004 ACQ.TRADE_HAS_CLOSE                   elsewhere
refund 40004 ACQ.TRADE_STATUS_ERROR                elsewhere
refund 40004 ACQ.DISCORDANT_REPEAT_REQUEST         elsewhere
refund 40004 ACQ.SELLER_BALANCE_NOT_ENOUGH         later declined
refund 40004 ACQ.REASON_TRADE_BEEN_FREEZEN         later declined
refund 40004 ACQ.REFUND_AMT_NOT_EQUAL_TOTAL        failed rejected
refund 40004 ACQ.REASON_TRADE_REFUND_FEE_ERR       failed rejected
refund 40004 ACQ.REFUND_FEE_ERROR                  failed rejected
refund 40004 ACQ.TRADE_HAS_FINISHED                failed rejected
refund 40004 ACQ.TRADE_NOT_ALLOW_REFUND            failed rejected
refund 40004 ACQ.OVERDRAFT_AGREEMENT_NOT_MATCH     failed rejected
refund 40004 ACQ.BUYER_ERROR                       failed rejected
refund 40005 isv.app-call-limited                  failed congested
refund 40006 isv.insufficient-isv-permissions      failed misconfigured
refund_query 10000 -                               success
refund_query 40004 ACQ.TRADE_NOT_EXIST             no_trade
refund_query 40004 ACQ.SYSTEM_ERROR                unknown
";

fn operation(word: &str) -> Operation {
    match word {
        "create" => Operation::Create,
        "query" => Operation::Query,
        "close" => Operation::Close,
        "refund" => Operation::Refund,
        "refund_query" => Operation::RefundQuery,
        other => panic!("{other}"),
    }
}

fn words(meaning: Meaning) -> String {
    match meaning {
        Meaning::Success => "success".into(),
        Meaning::NoTrade => "no_trade".into(),
        Meaning::Elsewhere => "elsewhere".into(),
        Meaning::Failed(class) => format!("failed {}", class.as_str()),
        Meaning::Later(class) => format!("later {}", class.as_str()),
        Meaning::Unknown => "unknown".into(),
    }
}

#[test]
fn every_documented_code_has_its_meaning() {
    for row in ROWS.lines().filter(|row| !row.is_empty()) {
        let words_of_row: Vec<&str> = row.split_whitespace().collect();
        let [asked, code, sub_code] = [0, 1, 2].map(|at| words_of_row[at]);
        let meaning = words_of_row[3..].join(" ");
        let blank = |word| if word == "-" { "" } else { word };
        let read = classify(operation(asked), blank(code), blank(sub_code));
        assert_eq!(words(read), meaning, "{row}");
    }
}

#[test]
fn only_three_codes_are_believed_without_a_signature() {
    for code in ["10000", "10003", "20000", "20001", "40003", "40004", "40005", ""] {
        assert!(!is_unsigned_misconfiguration(code), "{code}");
    }
    for code in ["40001", "40002", "40006"] {
        assert!(is_unsigned_misconfiguration(code), "{code}");
    }
}

#[test]
fn a_printed_code_is_short_and_plain() {
    assert_eq!(printable("40004", "ACQ.SYSTEM_ERROR"), "ACQ.SYSTEM_ERROR");
    assert_eq!(printable("40004", ""), "40004");
    assert_eq!(printable("40004", "a\r\nb{\"c\"}"), "abc");
    assert_eq!(printable("40004", &"x".repeat(500)).len(), 64);
}
