//! What a payer can be told when a channel gave no code, by what can be done about it.
//!
//! Invariant: it never blames the payer for our trouble, and never says that money was lost.

use tongdao_core::provider::ErrorClass;

/// For the merchant's own words.
pub(crate) const fn for_payer(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Declined => "Ask the payer to choose another payment method or another card; nothing was paid.",
        ErrorClass::Congested => "Ask the payer to try again in a few seconds; nothing was paid.",
        ErrorClass::Unavailable => "Ask the payer to try again in a minute or to choose another payment method.",
        ErrorClass::Misconfigured => "Ask the payer to choose another payment method; the operator has been told.",
        ErrorClass::Rejected => "Ask the payer to choose another payment method, and check the order's details.",
        ErrorClass::Unknown => {
            "Ask the payer to try again; if something was paid meanwhile, it counts or goes back by itself."
        }
    }
}

/// The same in Chinese, fit to be shown.
pub(crate) const fn for_payer_zh(class: ErrorClass) -> &'static str {
    match class {
        ErrorClass::Declined => "请更换支付方式或银行卡后重试，本次未扣款",
        ErrorClass::Congested => "当前付款人数较多，请几秒后重试，本次未扣款",
        ErrorClass::Unavailable => "支付服务暂时不可用，请一分钟后重试或更换支付方式",
        ErrorClass::Misconfigured => "该支付方式暂时无法使用，请更换支付方式",
        ErrorClass::Rejected => "该支付方式无法用于本订单，请更换支付方式",
        ErrorClass::Unknown => "请重试；若已付款，将自动确认或原路退回",
    }
}
