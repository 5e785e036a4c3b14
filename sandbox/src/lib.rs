//! Being built.
mod formats;
mod alipay;
mod unionpay;
