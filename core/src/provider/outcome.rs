//! What a provider's message means, in the words of the rules.
//!
//! Invariant: `Paid` carries every figure that must be compared; `Closed` is a proved end; a timeout, an unsigned
//! answer or an unreadable one is `Unknown`.

use crate::day::Day;
use crate::money::Money;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a call did not do what was asked, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The payer, the bank or a risk rule said no: another channel may say yes.
    Declined,
    /// Too many calls, theirs or ours: nothing happened, another channel now.
    Congested,
    /// The provider is down or overloaded (5xx, refused connection).
    Unavailable,
    /// Our account, key or contract is wrong: leave the channel and wake a person.
    Misconfigured,
    /// The request itself is wrong; it would be wrong everywhere.
    Rejected,
    /// Nobody knows what happened.
    Unknown,
}

impl ErrorClass {
    /// All classes.
    pub const ALL: [Self; 6] =
        [Self::Declined, Self::Congested, Self::Unavailable, Self::Misconfigured, Self::Rejected, Self::Unknown];

    /// The word used in the API and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Declined => "declined",
            Self::Congested => "congested",
            Self::Unavailable => "unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }
}

/// A failure with the provider's own code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What can be done about it.
    pub class: ErrorClass,
    /// The provider's code (`FREQUENCY_LIMITED`, `ACQ.SYSTEM_ERROR`, `34`), or a short word of ours.
    pub provider_code: String,
    /// A sentence for people; never a secret, never payer data.
    pub detail: String,
}

impl Failure {
    /// A failure with its class, code and sentence.
    #[must_use]
    pub fn new(class: ErrorClass, provider_code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { class, provider_code: provider_code.into(), detail: detail.into() }
    }
}

impl Failure {
    /// The code of a call that never left this machine: no connection was made.
    pub const NOT_SENT: &'static str = "not_sent";
    /// The code of a call that our own limit held back.
    pub const OUR_LIMIT: &'static str = "our_limit";

    /// Whether nothing was sent, for certain.
    #[must_use]
    pub fn is_unsent(&self) -> bool {
        [Self::NOT_SENT, Self::OUR_LIMIT].contains(&self.provider_code.as_str())
    }
}

/// What the payer is given to pay with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pay {
    /// The form it takes.
    pub kind: PayKind,
    /// The end of this code.
    pub expires_at: UnixMillis,
}

/// The forms of `Pay`, as the API shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PayKind {
    /// Text to be drawn as a QR code.
    QrCode {
        /// The code's content.
        url: String,
    },
    /// A page to send the payer's browser to.
    Redirect {
        /// Absolute URL.
        url: String,
    },
    /// A form that the payer's browser must post.
    Form {
        /// Where to post.
        action: String,
        /// Its fields.
        fields: BTreeMap<String, String>,
    },
    /// Parameters for a page inside the wallet.
    Jsapi {
        /// As the wallet's script wants them.
        params: BTreeMap<String, String>,
    },
    /// Parameters for the merchant's app.
    App {
        /// As the wallet's SDK wants them (`order_string`, `tn`, …).
        params: BTreeMap<String, String>,
    },
}

/// A payment that the provider says it took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Our number in the message.
    pub provider_order_no: String,
    /// The provider's number (`transaction_id`, `trade_no`, `queryId`).
    pub provider_trade_no: String,
    /// The order's sum as the provider states it, before coupons.
    pub amount: Money,
    /// The provider's time of payment, where it says one.
    pub paid_at: Option<UnixMillis>,
    /// The day of the statement that will name it, where the message says it (UnionPay's settlement date).
    pub settled_on: Option<Day>,
    /// What the message says was already given back, in minor units; zero where it says nothing.
    pub refunded: i64,
}

/// What a create, query or close answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Not paid yet.
    Pending {
        /// What to pay with: in a create's answer only.
        pay: Option<Pay>,
        /// Whether a close could end it now: false while nobody scanned (Alipay) or where there is no close (UnionPay).
        closable: bool,
    },
    /// Paid; every figure is to be compared.
    Paid(Payment),
    /// It can never be paid any more, proved by the provider's own rule.
    Closed,
    /// The provider has no such order and could still get one (a create in doubt).
    Absent,
    /// A definite no.
    Failed(Failure),
    /// No definite answer: ask again before anything else.
    Unknown(Failure),
}

/// What a refund or refund query answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money is back: WeChat Pay `SUCCESS`, Alipay `fund_change=Y` or `REFUND_SUCCESS`, UnionPay 00 or A6 of the query.
    Succeeded {
        /// This refund's sum as the provider states it, where it does.
        amount: Option<Money>,
    },
    /// Accepted; not through yet.
    Pending,
    /// Stuck at the provider and not final (WeChat Pay `ABNORMAL`): stays pending, a person is told.
    Stuck(Failure),
    /// Proved not to have happened and not to happen any more under this number (WeChat Pay `CLOSED`).
    Ended(Failure),
    /// The provider never got it: repeat under the same number.
    Absent,
    /// Refused now; the same number may be tried again later (balance short, too many calls).
    Later(Failure),
    /// Refused for good: nothing moved and nothing will.
    Refused(Failure),
    /// No definite answer: ask before anything else, never change the number.
    Unknown(Failure),
}
