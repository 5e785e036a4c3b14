//! The closed words of the API for its OpenAPI document.
//!
//! Invariant: they are the words of the core, which a test compares; documents carry the core's own text.
#![allow(dead_code)] // Shapes for the document; nothing makes them.

use utoipa::ToSchema;

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ChargeStatus {
    Open,
    Closed,
    Paid,
    PartiallyRefunded,
    Refunded,
}

/// 待支付, 权益发放中, 已完成, 已关闭, 已退款, 处理中.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Stage {
    AwaitingPayment,
    Delivering,
    Completed,
    Closed,
    Refunded,
    Attention,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum AttemptStatus {
    Creating,
    Pending,
    Unknown,
    Failed,
    Closed,
    Succeeded,
    Duplicate,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum DeliveryStatus {
    None,
    Pending,
    Accepted,
    Delivered,
    Failed,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Scene {
    Qr,
    H5,
    Web,
    Jsapi,
    App,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ErrorClass {
    Declined,
    Congested,
    Unavailable,
    Misconfigured,
    Rejected,
    Unknown,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum ChosenBecause {
    Score,
    Pinned,
    Forced,
    Failover,
    Probe,
    OnlyOne,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Exclusion {
    Disabled,
    Drained,
    Scene,
    Method,
    Amount,
    DailyLimit,
    Capacity,
    Ejected,
    Tried,
    NotPinned,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum RouteReason {
    Best,
    Tie,
    Preferred,
    Spill,
    Probe,
    Explore,
    Fallback,
    OnlyOne,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Standing {
    In,
    Out,
    ProbeDue,
    Returning,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tongdao_core as core;
    use utoipa::PartialSchema;

    fn words<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["enum"].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_words_are_those_of_the_core() {
        use core::{attempt, charge, delivery, provider, refund, routing};
        assert_eq!(words::<ChargeStatus>(), charge::ChargeStatus::ALL.map(|word| word.as_str()));
        assert_eq!(words::<Stage>(), charge::Stage::ALL.map(|word| word.as_str()));
        assert_eq!(words::<AttemptStatus>(), attempt::AttemptStatus::ALL.map(|word| word.as_str()));
        assert_eq!(words::<DeliveryStatus>(), delivery::DeliveryStatus::ALL.map(|word| word.as_str()));
        assert_eq!(words::<RefundStatus>(), refund::RefundStatus::ALL.map(|word| word.as_str()));
        assert_eq!(words::<Scene>(), provider::Scene::ALL.map(|word| word.as_str()));
        assert_eq!(words::<ErrorClass>(), provider::ErrorClass::ALL.map(|word| word.as_str()));
        assert_eq!(words::<ChosenBecause>(), routing::Because::ALL.map(|word| word.as_str()));
        assert_eq!(words::<RouteReason>(), routing::Reason::ALL.map(|word| word.as_str()));
        assert_eq!(words::<Standing>(), routing::Standing::ALL.map(|word| word.as_str()));
        assert_eq!(words::<Exclusion>(), routing::Exclusion::ALL.map(|word| word.as_str()));
    }
}
