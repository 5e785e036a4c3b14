//! The faults that a world can meet, counted: one that never fired shows nothing.

macro_rules! faults {
    ($($name:ident, $section:literal, $words:literal;)*) => {
        /// A fault of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault { $($name),* }
        impl Fault {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];
            pub(crate) fn section(self) -> &'static str { match self { $(Self::$name => $section),* } }
            pub(crate) fn words(self) -> &'static str { match self { $(Self::$name => $words),* } }
        }
    };
}

faults! {
    Refused, "network", "1 connection refused";
    ConnectTimeout, "network", "2 connect timeout";
    ReplyLost, "network", "3 sent, no reply";
    ReplyReset, "network", "4 reset in the reply";
    ReplyLate, "network", "5 reply after our deadline";
    Truncated, "network", "6 truncated body";
    OneWay, "network", "10 one-way partition";
    Doubled, "network", "11 request doubled";
    Reordered, "network", "12 callbacks out of order";
    OwnLimit, "network", "our own limit";
    CallbackLost, "provider", "15 callback lost for ever";
    CallbackTwice, "provider", "16 callback twice";
    CallbackAfterDay, "provider", "17 callback again after 24 h";
    CallbackFirst, "provider", "18 callback before the create's answer";
    QueryLag, "provider", "19 query lags behind the payment";
    Congested, "provider", "20 too many calls";
    Busy5xx, "provider", "20 5xx";
    OrderExists, "provider", "21 create of an order that exists";
    PaidAfterClose, "provider", "22 payment after our close";
    CloseAlreadyPaid, "provider", "23 close of a paid order";
    CloseLies, "provider", "a close that closes nothing";
    WrongAmount, "provider", "24 wrong amount paid";
    KeyRotated, "provider", "25 key rotated";
    ClockOff, "provider", "26 provider's clock off";
    RefundFailsLate, "provider", "28 refund fails days later";
    RefundStuck, "provider", "a refund that is stuck";
    RefundBounced, "provider", "money back that bounces";
    RefundElsewhere, "provider", "refunded at the provider by others";
    BadSignature, "provider", "29 bad signature probe";
    Down6h, "provider", "30 provider down for hours";
    PaidTwiceOneCode, "provider", "one code paid twice";
    ClaimedTwice, "provider", "a payment claimed by a second order";
    UnknownOrder, "provider", "a payment for an unknown order";
    DoublePay, "payer", "two codes of a charge paid";
    Merchant500, "merchant", "31 500";
    MerchantTimeout, "merchant", "31 no answer";
    WrongBody, "merchant", "32 2xx with a wrong body";
    AckLost, "merchant", "33 handed over, answer lost";
    Redirect, "merchant", "34 redirect";
    Slow, "merchant", "35 slow";
    SameKey, "merchant", "36 same key again";
    MerchantDown, "merchant", "37 merchant down for days";
    SecretRotated, "merchant", "38 secret rotated";
    WebhookTwice, "merchant", "webhook arrives twice";
    StepAhead, "clock", "49 step +1 h";
    StepBack, "clock", "50 step -1 h";
    DayEdge, "clock", "52 day edge";
    LeftToStatement, "left", "ended by a wrong clock, callback lost";
    PaidTwiceUnseen, "left", "one code paid twice, one callback lost";
    RefundTwice, "operator", "72 refund ordered twice";
    Drain, "operator", "drain";
    Force, "operator", "force";
    Restore, "operator", "restore";
    Reload, "operator", "configuration reloaded";
    Notify, "operator", "webhook sent by hand";
    Sync, "operator", "sync";
    CrashBefore, "crash", "before the commit";
    CrashAfter, "crash", "after the commit, before its answer";
    CrashUnknown, "crash", "commit with an unknown outcome";
    CrashBeforeCall, "crash", "before a call leaves";
    CrashAnywhere, "crash", "between two steps";
    Overloaded, "crash", "store overloaded";
}

/// How often each fired.
#[derive(Clone)]
pub(crate) struct Counts(pub(crate) Vec<u64>);

impl Counts {
    pub(crate) fn new() -> Self {
        Self(vec![0; Fault::ALL.len()])
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(&other.0) {
            *sum += more;
        }
    }
}
