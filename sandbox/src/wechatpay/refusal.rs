//! WeChat Pay's error answers: HTTP status, code, message and, for a bad parameter, where it stands (sections 0 and 5).
//! Guards: error answers are never signed.
//! Must not know: why an operation refused.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Value, json};

use crate::faults::FaultKind;

/// One error answer.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    detail: Option<Box<Value>>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), detail: None }
    }

    /// 401: who calls cannot be established.
    pub(super) fn sign_error(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "SIGN_ERROR", message)
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    /// 400 with the parameter named; `field` is a JSON pointer, `location` body, query or url.
    pub(super) fn parameter(field: &str, value: &Value, issue: &str, location: &str) -> Self {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let detail = json!({"field": field, "value": value, "issue": issue, "location": location});
        Self {
            detail: Some(Box::new(detail)),
            ..Self::new(StatusCode::BAD_REQUEST, "PARAM_ERROR", format!("参数错误: {issue}"))
        }
    }

    pub(super) fn order_not_exist() -> Self {
        Self::new(StatusCode::NOT_FOUND, "ORDER_NOT_EXIST", "订单不存在")
    }

    pub(super) fn resource_not_exists(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "RESOURCE_NOT_EXISTS", message)
    }

    pub(super) fn order_paid() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ORDERPAID", "该订单已支付")
    }

    pub(super) fn order_closed() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ORDER_CLOSED", "该订单已关闭")
    }

    pub(super) fn number_used() -> Self {
        Self::new(StatusCode::FORBIDDEN, "OUT_TRADE_NO_USED", "商户订单号重复")
    }

    /// How this provider words a fault.
    pub(super) fn of_fault(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Congested => Self::new(StatusCode::TOO_MANY_REQUESTS, "FREQUENCY_LIMITED", "频率超限"),
            FaultKind::Declined => Self::new(StatusCode::FORBIDDEN, "RULE_LIMIT", "业务规则限制"),
            FaultKind::NoAuth => Self::new(StatusCode::FORBIDDEN, "NO_AUTH", "商户无权限"),
            FaultKind::NotEnough => Self::new(StatusCode::FORBIDDEN, "NOT_ENOUGH", "余额不足"),
            FaultKind::ServerError
            | FaultKind::ErrorAfterCommit
            | FaultKind::RefuseConnection
            | FaultKind::HangBeforeCommit
            | FaultKind::HangAfterCommit
            | FaultKind::BadSignature
            | FaultKind::Html502
            | FaultKind::Truncated
            | FaultKind::NotFoundLag
            | FaultKind::Accepted
            | FaultKind::PaidMeanwhile => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "SYSTEM_ERROR", "系统错误"),
        }
    }

    pub(super) fn reply(&self, request_id: &str) -> Response<Body> {
        let mut body = json!({"code": self.code, "message": self.message});
        if let (Some(detail), Some(object)) = (&self.detail, body.as_object_mut()) {
            object.insert("detail".into(), detail.as_ref().clone());
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            response.headers_mut().insert("Request-ID", id);
        }
        response
    }
}
