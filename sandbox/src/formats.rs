//! What the Alipay and the UnionPay server share on the wire: urlencoded forms, RSA with SHA-256,
//! Beijing time and the small HTML page of a cashier.
//!
//! Pure: bytes in, bytes out. Knows no order, no account, no clock and no socket.

pub(crate) mod beijing;
pub(crate) mod form;
pub(crate) mod page;
pub(crate) mod rsa;
