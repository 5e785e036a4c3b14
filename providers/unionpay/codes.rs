//! What UnionPay's answer codes mean (protocol notes, 6 to 8).
//!
//! Invariant: a code that leaves open whether money moved, or that nobody documented, is `Ask`: it never becomes
//! a refusal, an end or a payment. `Success` on a money request is an acceptance and nothing more.
//! It knows codes and no messages.

use tongdao_core::provider::ErrorClass;

/// What a code says of the call that it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// 00 and A6.
    Success,
    /// Nobody knows: query.
    Ask,
    /// Closed or busy, and perhaps the call went through: query before it is sent again.
    Busy(ErrorClass),
    /// Too many calls: nothing happened.
    TooMany,
    /// A definite no to this call.
    No(ErrorClass),
}

/// The meaning of `respCode`.
pub(crate) fn meaning(code: &str) -> Meaning {
    match code {
        "00" | "A6" => Meaning::Success,
        "02" => Meaning::Busy(ErrorClass::Unavailable),
        "06" => Meaning::Busy(ErrorClass::Congested),
        "37" => Meaning::TooMany,
        // The message itself: format, missing element, batch file, or an original that is not there or not fit.
        "10" | "13" | "14" | "34" | "35" | "36" | "40" | "41" | "44" | "45" | "46" | "98" => {
            Meaning::No(ErrorClass::Rejected)
        }
        // Signature, merchant state, permission, business not permitted.
        "11" | "31" | "32" | "43" => Meaning::No(ErrorClass::Misconfigured),
        // The issuer, the card, the holder, a limit or a risk rule.
        "30" | "33" | "38" | "39" | "42" => Meaning::No(ErrorClass::Declined),
        "60" | "61" | "62" | "63" | "64" | "65" | "66" | "67" | "68" | "69" => Meaning::No(ErrorClass::Declined),
        "71" | "72" | "73" | "76" | "77" | "78" | "79" => Meaning::No(ErrorClass::Declined),
        "80" | "81" | "82" | "85" | "86" | "87" | "88" | "89" => Meaning::No(ErrorClass::Declined),
        "90" | "91" | "92" | "93" | "94" | "95" | "96" => Meaning::No(ErrorClass::Declined),
        // 01, 03, 04, 05, 12 (the order exists), 70 and 83 (in progress), 74 and 75 (debited), 99, and all others.
        _ => Meaning::Ask,
    }
}

/// What `origRespCode` of a query's answer says of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Original {
    /// The money was taken (or given back, when the order is a refund).
    Done,
    /// Not decided, or debited without a clear end.
    Open,
    /// Not done. For a front trade this may still change until payTimeout.
    Failed(ErrorClass),
}

/// The meaning of `origRespCode`. Code 01 leaves a money request open but is a definite failure here.
pub(crate) fn original(code: &str) -> Original {
    match (code, meaning(code)) {
        ("01", _) => Original::Failed(ErrorClass::Declined),
        (_, Meaning::Success) => Original::Done,
        (_, Meaning::Ask) => Original::Open,
        (_, Meaning::Busy(class) | Meaning::No(class)) => Original::Failed(class),
        (_, Meaning::TooMany) => Original::Failed(ErrorClass::Congested),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_class() {
        let rows: [(Meaning, &str); 8] = [
            (Meaning::Success, "00 A6"),
            (Meaning::Ask, "01 03 04 05 12 70 74 75 83 99"),
            (Meaning::Busy(ErrorClass::Unavailable), "02"),
            (Meaning::Busy(ErrorClass::Congested), "06"),
            (Meaning::TooMany, "37"),
            (Meaning::No(ErrorClass::Rejected), "10 13 14 34 35 36 40 41 44 45 46 98"),
            (Meaning::No(ErrorClass::Misconfigured), "11 31 32 43"),
            (
                Meaning::No(ErrorClass::Declined),
                "30 33 38 39 42 60 61 62 63 64 65 66 67 68 69 71 72 73 76 77 78 79 80 81 82 85 86 87 88 89 90 91 92 \
                 93 94 95 96",
            ),
        ];
        let mut seen = 0;
        for (want, codes) in rows {
            for code in codes.split_whitespace() {
                assert_eq!(meaning(code), want, "{code}");
                seen += 1;
            }
        }
        assert_eq!(seen, 68);
    }

    #[test]
    fn an_unknown_code_asks() {
        for code in ["", "0", "000", "a6", "07", "84", "97", "Z9", "成功"] {
            assert_eq!((meaning(code), original(code)), (Meaning::Ask, Original::Open), "{code}");
        }
    }

    #[test]
    fn the_original_of_a_query_is_done_open_or_failed() {
        for code in ["00", "A6"] {
            assert_eq!(original(code), Original::Done);
        }
        for code in ["03", "04", "05", "12", "70", "74", "75", "83", "99"] {
            assert_eq!(original(code), Original::Open, "{code}");
        }
        for (code, class) in [
            ("01", ErrorClass::Declined),
            ("06", ErrorClass::Congested),
            ("37", ErrorClass::Congested),
            ("42", ErrorClass::Declined),
            ("64", ErrorClass::Declined),
        ] {
            assert_eq!(original(code), Original::Failed(class), "{code}");
        }
    }
}
