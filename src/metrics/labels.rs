//! The closed words that stand in labels.
//!
//! Invariant: a label value that is not here, in the core's words, or in the configuration does not exist, so the
//! number of series is known beforehand and nothing that a caller sends can make a new one.

use crate::ports::Operation;
use tongdao_core::charge::Stage;
use tongdao_core::effect::BreakKind;
use tongdao_core::routing::{Because, Exclusion};

/// A label whose values are closed.
pub(crate) trait Label: Copy + PartialEq + 'static {
    /// Every value.
    const EVERY: &'static [Self];
    /// The value's text.
    fn word(self) -> &'static str;
}

macro_rules! label {
    ($(#[$about:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in the metric.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Label for $name {
            const EVERY: &'static [Self] = Self::ALL;
            fn word(self) -> &'static str {
                self.as_str()
            }
        }
    };
}

macro_rules! foreign_label {
    ($($name:ident),+) => {
        $(impl Label for $name {
            const EVERY: &'static [Self] = &Self::ALL;
            fn word(self) -> &'static str {
                self.as_str()
            }
        })+
    };
}

foreign_label!(Because, BreakKind, Exclusion, Operation, Stage);

label! {
    /// Why a caller was not let in.
    AuthFailure {
        /// No `Authorization`.
        Missing = "missing",
        /// One that cannot be read.
        Malformed = "malformed",
        /// A key id that nobody has.
        UnknownKey = "unknown_key",
        /// A timestamp too far from our clock.
        Stale = "stale",
        /// A nonce outside its grammar.
        BadNonce = "bad_nonce",
        /// A nonce seen before.
        NonceSeen = "nonce_seen",
        /// A signature that does not hold.
        BadSignature = "bad_signature",
        /// A wrong admin token or console session.
        AdminToken = "admin_token",
    }
}

label! {
    /// Which limit turned a caller away.
    RatePolicy {
        /// The merchant's own.
        Merchant = "merchant",
        /// The payers' pages, by address.
        Cashier = "cashier",
        /// Log-in to the console.
        Console = "console",
        /// The whole daemon's.
        Overload = "overload",
    }
}

label! {
    /// What a repeated or first request turned out to be.
    Idempotency {
        /// A first request.
        New = "new",
        /// A repeat, answered as the first.
        Replayed = "replayed",
        /// The same key for another request.
        Conflict = "conflict",
        /// The first still runs.
        InProgress = "in_progress",
    }
}

label! {
    /// Where a channel stands; exactly one holds.
    ChannelState {
        /// It takes charges.
        Open = "open",
        /// It takes one to show that it is well again.
        Probing = "probing",
        /// It was taken out by rule.
        Ejected = "ejected",
        /// It was taken out by a person.
        Drained = "drained",
        /// The configuration switched it off.
        Disabled = "disabled",
    }
}

label! {
    /// Why a channel moved.
    Cause {
        /// Its measured health.
        Health = "health",
        /// The result of a probe.
        Probe = "probe",
        /// A person.
        Operator = "operator",
        /// The end of an override or pause.
        Expiry = "expiry",
        /// A limit.
        Limit = "limit",
    }
}

label! {
    /// What came of a call to a provider.
    CallOutcome {
        /// It did what was asked, or said plainly how things stand.
        Ok = "ok",
        /// The payer, the bank or a risk rule said no.
        Declined = "declined",
        /// Too many calls.
        Congested = "congested",
        /// 5xx.
        Unavailable = "unavailable",
        /// No answer in time.
        Timeout = "timeout",
        /// No connection, or one that broke.
        Transport = "transport",
        /// An answer whose signature does not hold.
        BadSignature = "bad_signature",
        /// Our account, key or contract is wrong.
        Misconfigured = "misconfigured",
        /// The request is wrong.
        Rejected = "rejected",
        /// Nobody knows.
        Unknown = "unknown",
    }
}

label! {
    /// A limit of a channel.
    Limit {
        /// The day's sum.
        DayAmount = "day_amount",
        /// The day's count.
        DayCount = "day_count",
        /// Calls a second.
        PerSecond = "per_second",
    }
}

label! {
    /// What an override does.
    OverrideAction {
        /// Takes a channel out.
        Drain = "drain",
        /// Puts a channel first.
        Force = "force",
    }
}

label! {
    /// What happened to a charge.
    ChargeEvent {
        /// Made.
        Created = "created",
        /// Paid.
        Paid = "paid",
        /// Paid after its close.
        PaidLate = "paid_late",
        /// The goods were handed over.
        Delivered = "delivered",
        /// Closed unpaid.
        Closed = "closed",
        /// The whole sum went back.
        Refunded = "refunded",
        /// Paid a second time.
        Duplicate = "duplicate",
    }
}

label! {
    /// How a payment became known. The share that is not from callbacks tells of lost callbacks.
    ConfirmedBy {
        /// The provider's callback.
        Callback = "callback",
        /// Our query.
        Query = "query",
        /// The day's statement.
        Statement = "statement",
        /// A person.
        Operator = "operator",
    }
}

label! {
    /// What a provider's callback was worth.
    CallbackVerdict {
        /// It had an effect, now durable.
        Accepted = "accepted",
        /// It had had its effect before.
        Duplicate = "duplicate",
        /// Its signature does not hold.
        BadSignature = "bad_signature",
        /// It is genuine and too old.
        Stale = "stale",
        /// It is signed by a key not known here.
        UnknownKey = "unknown_key",
        /// It is genuine and its amount is not the attempt's: a break.
        AmountDiffers = "amount_differs",
        /// It is genuine and its number is not ours: a break.
        UnknownOrder = "unknown_order",
        /// It belongs to another account.
        Foreign = "foreign",
        /// It is no message of the protocol.
        Malformed = "malformed",
    }
}

label! {
    /// What came of one webhook try.
    WebhookResult {
        /// Delivered.
        Delivered = "delivered",
        /// Accepted: the merchant will call.
        Accepted = "accepted",
        /// Cannot be delivered.
        Undeliverable = "undeliverable",
        /// A redirect, which is not followed.
        Http3xx = "http_3xx",
        /// Refused.
        Http4xx = "http_4xx",
        /// The shop is broken, or answered 2xx with something else.
        Http5xx = "http_5xx",
        /// No whole answer in time.
        Timeout = "timeout",
        /// No connection, or one that broke.
        Connect = "connect",
        /// TLS failed.
        Tls = "tls",
        /// The address may not be called.
        Blocked = "blocked",
    }
}

label! {
    /// What came of one try to reconcile a day.
    ReconciliationResult {
        /// Every line has its place.
        Done = "done",
        /// The provider was still making the file.
        NotReady = "not_ready",
        /// The provider said that there is none, on a day with payments of ours.
        Absent = "absent",
        /// The file was not believed.
        Refused = "refused",
        /// No file came, or it could not be booked.
        Failed = "failed",
    }
}

label! {
    /// Where a statement's line ended.
    LineResult {
        /// Both sides say the same.
        Matched = "matched",
        /// The other side stands on a neighbouring day, or may still come.
        CarriedOver = "carried_over",
        /// A difference with a name.
        Break = "break",
    }
}

label! {
    /// What the daemon mended by itself.
    Repair {
        /// A lost payment was credited.
        Credited = "credited",
        /// A webhook was sent again.
        Redelivered = "redelivered",
        /// A second payment went back.
        RefundedSurplus = "refunded_surplus",
        /// An undelivered payment went back.
        RefundedOverdue = "refunded_overdue",
        /// A stale attempt was closed.
        Closed = "closed",
    }
}

label! {
    /// A log message's level.
    LogLevel {
        /// Money at risk.
        Error = "error",
        /// Worth waking someone if frequent.
        Warn = "warn",
        /// A state change.
        Info = "info",
        /// A decision.
        Debug = "debug",
        /// Anything.
        Trace = "trace",
    }
}

label! {
    /// The status codes that the API answers; anything else is counted as `other`.
    HttpCode {
        /// 200
        Ok = "200",
        /// 201
        Created = "201",
        /// 202
        AcceptedCode = "202",
        /// 204
        NoContent = "204",
        /// 303
        SeeOther = "303",
        /// 304
        NotModified = "304",
        /// 400
        BadRequest = "400",
        /// 401
        Unauthorized = "401",
        /// 403
        Forbidden = "403",
        /// 404
        NotFound = "404",
        /// 405
        MethodNotAllowed = "405",
        /// 409
        Conflict = "409",
        /// 413
        TooLarge = "413",
        /// 415
        MediaType = "415",
        /// 422
        Invalid = "422",
        /// 429
        RateLimited = "429",
        /// 500
        Internal = "500",
        /// 502
        BadGateway = "502",
        /// 503
        Overloaded = "503",
        /// Anything else.
        Other = "other",
    }
}

impl HttpCode {
    /// The label of a status code.
    #[must_use]
    pub fn of(status: u16) -> Self {
        let mut text = [b'0'; 3];
        let digits = [status.div_euclid(100), status.div_euclid(10).rem_euclid(10), status.rem_euclid(10)];
        for (place, digit) in text.iter_mut().zip(digits) {
            *place = b'0'.saturating_add(u8::try_from(digit).unwrap_or(u8::MAX));
        }
        let known = |code: &&Self| code.as_str().as_bytes() == text;
        Self::ALL.iter().find(known).copied().unwrap_or(Self::Other)
    }
}
