//! Names to addresses for webhooks, with the guard at the last possible place: on the address that is dialled.
//!
//! Invariant: a name that has no public address is not dialled, whatever it had when the URL was saved; a name that
//! cannot be resolved is a failure, never a pass. (Addresses written in the URL itself never come here: the check of
//! the URL has seen them.)

use super::guard::is_public;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// How a name is looked up.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// The operating system's resolver.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|name| Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect::<Vec<_>>()) }))
}

/// The name has addresses, and all of them are private.
#[derive(Debug, thiserror::Error)]
#[error("the name leads into a private network")]
pub(super) struct PrivateOnly;

/// A resolver that leaves out private addresses unless they are allowed.
pub(super) struct PublicOnly {
    lookup: Lookup,
    allow_private: bool,
}

impl PublicOnly {
    pub(super) fn new(lookup: Lookup, allow_private: bool) -> Self {
        Self { lookup, allow_private }
    }
}

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        let found = (self.lookup)(name.as_str().to_owned());
        let allow_private = self.allow_private;
        Box::pin(async move {
            let found = found.await?;
            let had_any = !found.is_empty();
            let open: Vec<SocketAddr> = found.into_iter().filter(|at| allow_private || is_public(at.ip())).collect();
            if had_any && open.is_empty() {
                return Err(PrivateOnly.into());
            }
            let addresses: Addrs = Box::new(open.into_iter());
            Ok(addresses)
        })
    }
}
