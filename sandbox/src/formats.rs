//! What the Alipay and the UnionPay server share: urlencoded forms, hashes as text, Beijing time and
//! the small HTML page of a cashier.
//!
//! Pure: bytes in, bytes out. Knows no order, no account, no clock and no socket.

pub(crate) mod beijing;
pub(crate) mod form;
pub(crate) mod hash;
pub(crate) mod page;
