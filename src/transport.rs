//! The only sender of HTTP.

mod guard;

pub use guard::{UrlFault, check_webhook_url, is_public};
