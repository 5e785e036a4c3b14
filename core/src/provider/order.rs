//! What a provider is asked for: one attempt's order or one refund.
//!
//! Invariant: complete enough to be written again, identical in its business fields, after a crash (S10). It knows no
//! provider's field names.

use crate::money::Money;
use crate::time::UnixMillis;
use serde::{Deserialize, Serialize};

/// Where the payer stands when asked to pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scene {
    /// A code on a screen, scanned with the wallet.
    Qr,
    /// A page in a phone's browser.
    H5,
    /// A page in a desktop browser.
    Web,
    /// A page inside WeChat; needs an openid.
    Jsapi,
    /// The merchant's own app.
    App,
}

impl Scene {
    /// All scenes.
    pub const ALL: [Self; 5] = [Self::Qr, Self::H5, Self::Web, Self::Jsapi, Self::App];

    /// The word used in the API and the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Qr => "qr",
            Self::H5 => "h5",
            Self::Web => "web",
            Self::Jsapi => "jsapi",
            Self::App => "app",
        }
    }
}

/// What is known about who pays. Payer data: never above debug level in a log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Payer {
    /// The merchant's own id of the payer.
    pub id: Option<String>,
    /// The payer's public address; H5 at WeChat Pay wants it.
    pub client_ip: Option<String>,
    /// The payer's WeChat openid under the channel's app.
    pub openid: Option<String>,
    /// Providers that this payer can use; empty means all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The provider that the payer would rather use.
    pub preferred: Option<String>,
}

/// The two ends of a code, both as the provider will enforce them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeLife {
    /// When the code itself stops working: `pay.expires_at`.
    pub code_ends_at: UnixMillis,
    /// The last moment at which the provider takes a payment of this order; not before `code_ends_at`.
    pub payable_until: UnixMillis,
}

/// One attempt as its provider sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptOrder {
    /// Our number: 26 to 32 letters and digits, unique per account for ever (`out_trade_no`, `orderId`).
    pub provider_order_no: String,
    /// The exact sum.
    pub amount: Money,
    /// What the payer reads; the adapter replaces what its provider refuses.
    pub subject: String,
    /// Where the payer stands.
    pub scene: Scene,
    /// Who pays.
    pub payer: Payer,
    /// When the attempt was made: UnionPay's `txnTime`, one for ever.
    pub created_at: UnixMillis,
    /// The ends asked for.
    pub life: CodeLife,
    /// Where the provider sends its callback.
    pub callback_url: String,
    /// Where the payer's browser goes afterwards.
    pub return_url: Option<String>,
    /// The provider's number, once known.
    pub provider_trade_no: Option<String>,
}

/// How a provider wants the refunds of one payment to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RefundRules {
    /// Between the calls of two refunds of one payment, in milliseconds.
    pub apart_ms: i64,
    /// From a refund's call to the first query of it, in milliseconds.
    pub ask_after_ms: i64,
    /// Refunds that one payment takes; `None` where nobody says.
    pub parts_max: Option<usize>,
}

/// One refund as its provider sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundOrder {
    /// Our number: 32 letters and digits, never changed after any doubt (`out_refund_no`, `out_request_no`, `orderId`).
    pub provider_refund_no: String,
    /// The payment's order number of ours.
    pub provider_order_no: String,
    /// The payment's number at the provider.
    pub provider_trade_no: Option<String>,
    /// The payment's whole sum.
    pub total: Money,
    /// The sum to give back, at most `total`.
    pub amount: Money,
    /// A short reason in plain words.
    pub reason: String,
    /// When the refund was made: UnionPay's `txnTime`, one for ever for this number.
    pub created_at: UnixMillis,
    /// Where the provider sends its callback.
    pub callback_url: String,
}
