//! What two or more providers use: RSA keys, certificates, forms.
//!
//! Nothing here knows a provider's fields or rules.

pub(crate) mod address;
pub(crate) mod form;
pub(crate) mod rsa;
