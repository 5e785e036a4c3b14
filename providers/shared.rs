//! What two or more providers use: RSA keys, certificates, forms, the reading of statements.
//!
//! Nothing here knows a provider's fields or rules.

pub(crate) mod address;
pub(crate) mod form;
pub(crate) mod rsa;
pub(crate) mod statement;
