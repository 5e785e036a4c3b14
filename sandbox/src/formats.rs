//! What the servers share: urlencoded forms, hashes as text, Beijing time, the small HTML page of a
//! cashier, and the GBK text and ZIP container of statements.
//!
//! Pure: bytes in, bytes out. Knows no order, no account, no clock and no socket.

pub(crate) mod beijing;
pub(crate) mod form;
pub(crate) mod gbk;
pub(crate) mod hash;
pub(crate) mod page;
pub(crate) mod zip;
