//! The response codes this server answers with, each with its text and inner number.
//!
//! Invariant: a code is written in one place. Must not know: when it applies.

/// A `respCode` and the text that goes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// Two characters.
    pub(crate) code: &'static str,
    text: &'static str,
    inner: &'static str,
}

impl Code {
    /// `respMsg`: the text and the inner number in brackets.
    pub(crate) fn message(self) -> String {
        format!("{}[{}]", self.text, self.inner)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal $inner:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: Code = Code { code: $code, text: $text, inner: $inner };)*
    };
}

codes! {
    /// Success; on a money request it means accepted, never done.
    SUCCESS = "00" "成功" "0000000";
    /// It failed in UnionPay itself.
    FAILED = "01" "交易失败，详情请咨询95516" "1000001";
    /// The state is not clear: ask.
    UNCLEAR = "04" "交易状态未明，请查询对账结果" "1000004";
    /// Accepted and still being worked on.
    IN_PROGRESS = "05" "交易已受理，请稍后查询交易结果" "1000005";
    /// Too busy; nothing was executed.
    BUSY = "06" "系统繁忙，请稍后再试" "1000006";
    /// A field has the wrong form.
    BAD_FORMAT = "10" "报文格式错误" "6100010";
    /// `txnTime` is not now.
    BAD_TIME = "10" "订单发送时间(txnTime)无效" "6100030";
    /// The signature or the certificate number is wrong.
    BAD_SIGNATURE = "11" "验证签名失败" "9100004";
    /// The order number was used before.
    DUPLICATE = "12" "重复交易" "2040004";
    /// A field is missing.
    MISSING = "13" "报文交易要素缺失" "6100013";
    /// The merchant is unknown.
    MERCHANT_STATE = "31" "商户状态不正确" "7000031";
    /// The operation is not open to the merchant.
    NO_PERMISSION = "32" "无此交易权限" "7000032";
    /// Risk control declines.
    RISK = "38" "未通过安全验证" "1000038";
    /// The transaction was not passed.
    NOT_PASSED = "30" "交易未通过，请尝试使用其他银联卡支付或联系95516" "1000030";
    /// There is no such order.
    NOT_FOUND = "34" "查无此交易" "2600000";
    /// The original is in the wrong state.
    ORIGINAL_STATE = "35" "原交易不存在或状态不正确" "2040035";
    /// The amount does not fit the original.
    AMOUNT = "36" "与原交易信息不符" "2040036";
    /// Too many queries.
    TOO_MANY_QUERIES = "37" "已超过最大查询次数或操作过于频繁" "2040037";
    /// Outside the allowed time: not paid before `payTimeout`.
    TOO_LATE = "39" "交易不在受理时间范围内" "2040039";
    /// Debited after `payTimeout`: goes back by itself.
    PAID_TOO_LATE = "42" "扣款成功但交易超过规定支付时间" "2040042";
    /// There is no such file.
    NO_FILE = "98" "文件不存在" "8200098";
    /// Refunded before, all of it.
    ALREADY_REFUNDED = "45" "原交易已被成功退货或已被成功撤销" "2040045";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_ends_with_its_inner_number() {
        assert_eq!(NOT_FOUND.message(), "查无此交易[2600000]");
        assert_eq!(SUCCESS.code, "00");
    }
}
