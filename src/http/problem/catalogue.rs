//! The codes of the API and their words.
//!
//! Invariant: a code never changes its status or meaning, since clients branch on it; the table is the only place where
//! a code, its status and its words meet.

use utoipa::ToSchema;

/// The words of a code.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    /// What happened, where nothing more particular is known.
    pub(crate) detail: &'static str,
    /// Whether the same request may succeed later.
    pub(crate) retryable: bool,
    /// What the caller can do next.
    pub(crate) advice: &'static str,
    pub(crate) message_zh: &'static str,
}

const LATER: bool = true;
const NEVER: bool = false;

macro_rules! codes {
    ($($variant:ident = $word:literal, $status:literal, $retryable:ident, $title:literal:
       $detail:literal, $advice:literal, $message_zh:literal;)+) => {
        /// What programs branch on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
        #[schema(rename_all = "snake_case")]
        pub(crate) enum Code {
            $($variant,)+
        }

        impl Code {
            /// All codes.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The code's text.
            pub(crate) const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// Its words.
            pub(crate) const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        status: $status,
                        title: $title,
                        detail: $detail,
                        retryable: $retryable,
                        advice: $advice,
                        message_zh: $message_zh,
                    },)+
                }
            }
        }
    };
}

codes! {
    MalformedRequest = "malformed_request", 400, NEVER, "The request cannot be read":
        "The request cannot be read.",
        "Send valid HTTP/1.1 and JSON; see /openapi.json.",
        "请求格式有误";
    Unauthenticated = "unauthenticated", 401, NEVER, "The caller is not known":
        "The request is not signed as it must be, or not by a key that is known.",
        "Check key id, secret, clock, nonce and the five signed lines, then sign the request anew.",
        "身份验证失败";
    Forbidden = "forbidden", 403, NEVER, "Not allowed":
        "The caller may not do this.",
        "Ask the operator for the right to do this.",
        "无权进行此操作";
    NotFound = "not_found", 404, NEVER, "Not found":
        "There is no such thing here.",
        "Check the address and the id.",
        "未找到";
    MethodNotAllowed = "method_not_allowed", 405, NEVER, "The method is not allowed here":
        "This address does not take this method.",
        "Use a method that the Allow header names.",
        "不支持该请求方法";
    IdempotencyConflict = "idempotency_conflict", 409, NEVER, "Used before with another request":
        "This number or Idempotency-Key was used before with another request; nothing was changed.",
        "Repeat the first request as it was, or use a new number.",
        "相同的单号或幂等键已用于另一个请求";
    InvalidState = "invalid_state", 409, NEVER, "Not in this state":
        "The charge's state does not allow this.",
        "Read the charge again and act on its present state.",
        "当前状态不允许此操作";
    RequestInProgress = "request_in_progress", 409, LATER, "Being done right now":
        "This is being done right now, or its outcome is not proved yet.",
        "Wait as long as Retry-After says, then send the same request again.",
        "请求正在处理中，请稍后重试";
    WouldLeaveNoChannel = "would_leave_no_channel", 409, NEVER, "No channel would be left":
        "This would leave a payment method without a channel.",
        "Restore another channel first, or insist.",
        "此操作会使某种支付方式没有可用通道";
    VersionChanged = "version_changed", 409, NEVER, "Changed since it was looked at":
        "The overrides changed since they were looked at; nothing was done.",
        "Make a dry run again and apply what it says now.",
        "情况已变化，请重新预演后再执行";
    BodyTooLarge = "body_too_large", 413, NEVER, "The body is too large":
        "The body is too large.",
        "Send less in one request.",
        "请求体过大";
    UnsupportedMediaType = "unsupported_media_type", 415, NEVER, "The body's type is not taken":
        "The body must be JSON.",
        "Send Content-Type: application/json.",
        "请求体须为 application/json";
    InvalidRequest = "invalid_request", 422, NEVER, "The request is not valid":
        "The request is not valid.",
        "Mend every field that errors names, then send the request again.",
        "请求参数有误";
    AmountExceedsRefundable = "amount_exceeds_refundable", 422, NEVER, "More than can be refunded":
        "The amount is more than what is left of the payment after its other refunds.",
        "Read the charge and refund at most amount less amount_refunded and less what is pending.",
        "退款金额超过可退金额";
    RateLimited = "rate_limited", 429, LATER, "Too many calls":
        "More calls than allowed.",
        "Wait as long as Retry-After says, then sign the request anew and send it.",
        "请求过于频繁，请稍后重试";
    ChannelRejected = "channel_rejected", 502, LATER, "Every channel refused":
        "Every channel that could take this charge refused it; the charge stays open.",
        "Ask the payer to choose another payment method; the same request is a new try.",
        "支付通道拒绝了本次收款";
    NoChannelAvailable = "no_channel_available", 503, LATER, "No channel can take this charge now":
        "No channel gave a code; the charge stays open.",
        "Ask the payer to try again in a minute; the same request is a new try.",
        "暂无可用的支付通道";
    StoreUnavailable = "store_unavailable", 503, LATER, "The store is not available":
        "The store is not available; whether this request took effect is not known.",
        "Send the same request again later: its number makes it safe.",
        "存储暂不可用，请稍后重试";
    Overloaded = "overloaded", 503, LATER, "Too much to do":
        "There is too much to do right now; nothing was changed.",
        "Wait as long as Retry-After says, then send the same request again.",
        "系统繁忙，请稍后重试";
}
