//! What a reload may change.
//!
//! Invariant: listeners and store stay what the process was started with, and a channel's account is its identity for
//! ever: open attempts, callbacks and refunds find their keys by the channel's name.

use super::fault::{Fault, Faults, Origin};
use super::{Channel, Config};
use tongdao_core::ids::ChannelId;

/// The keys of a provider's section that make up its account.
const ACCOUNT_KEYS: [&str; 4] = ["mch_id", "app_id", "seller_id", "mer_id"];

/// What an accepted reload changes in the list of channels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// New channels.
    pub added: Vec<ChannelId>,
    /// Channels that are gone. The caller refuses those with open attempts, payments in their refund window,
    /// unsettled refunds or unreconciled days.
    pub removed: Vec<ChannelId>,
}

/// Compares a running configuration with a new one.
///
/// # Errors
/// Every change that a reload may not make.
pub fn check_reload(old: &Config, new: &Config) -> Result<Changes, Faults> {
    let mut list = Vec::new();
    let mut refuse = |path: String, message: &str| {
        list.push(Fault { origin: Origin::Nowhere, path, message: message.to_owned() });
    };
    let restart = "cannot change by a reload: restart the daemon";
    let fixed = [
        ("server.public_listen", old.server.public_listen == new.server.public_listen),
        ("server.admin_listen", old.server.admin_listen == new.server.admin_listen),
        ("server.admin_socket", old.server.admin_socket == new.server.admin_socket),
        ("server.environment", old.server.environment == new.server.environment),
        ("store", old.store == new.store),
        ("reconciliation.spool", old.reconciliation.spool == new.reconciliation.spool),
        ("sandbox", old.sandbox == new.sandbox),
    ];
    for (path, same) in fixed {
        if !same {
            refuse(path.to_owned(), restart);
        }
    }
    for channel in &new.channels {
        let before = old.channels.iter().find(|before| before.id == channel.id);
        if before.is_some_and(|before| !same_account(before, channel)) {
            let message = "a channel's account never changes: add a new channel for the new account";
            refuse(format!("channels.{}", channel.id), message);
        }
    }
    if list.is_empty() {
        let only_in = |here: &Config, there: &Config| {
            let absent = here.channels.iter().filter(|one| there.channels.iter().all(|other| other.id != one.id));
            absent.map(|channel| channel.id.clone()).collect()
        };
        return Ok(Changes { added: only_in(new, old), removed: only_in(old, new) });
    }
    Err(Faults { name: new.name.clone(), list })
}

fn same_account(old: &Channel, new: &Channel) -> bool {
    old.provider_id == new.provider_id
        && old.provider.account() == new.provider.account()
        && ACCOUNT_KEYS.iter().all(|key| old.section.get(key) == new.section.get(key))
}
