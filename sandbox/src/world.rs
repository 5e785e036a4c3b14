//! What all servers of one sandbox share: time, chance, keys, the ledger, faults, payers and outgoing callbacks.
//! Guards: one value behind an `Arc`, built once in `Sandbox::start`; only its parts change, each behind its own lock.
//! Must not know: any wire format (that is `wire`).

use std::sync::Arc;

use crate::callbacks::Callbacks;
use crate::clock::Clock;
use crate::dice::Dice;
use crate::faults::Faults;
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::options::{Accounts, ProviderName};
use crate::payers::Payers;
use crate::statements::Statements;
use crate::tasks::Tasks;
use crate::wire::Wire;

/// The shared state of a sandbox.
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) dice: Dice,
    pub(crate) accounts: Accounts,
    pub(crate) keys: Keys,
    pub(crate) ledger: Ledger,
    pub(crate) faults: Faults,
    pub(crate) payers: Payers,
    pub(crate) callbacks: Callbacks,
    pub(crate) statements: Statements,
    pub(crate) tasks: Tasks,
    /// Real milliseconds of one second in a provider's schedule.
    pub(crate) unit_ms: u64,
}

impl World {
    /// Now, in Unix milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// The protocol of a provider.
    pub(crate) fn wire(&self, provider: ProviderName) -> &'static dyn Wire {
        match provider {
            ProviderName::Wechatpay => &crate::wechatpay::Wechatpay,
            ProviderName::Alipay => &crate::alipay::Alipay,
            ProviderName::Unionpay => &crate::unionpay::Unionpay,
        }
    }

    /// All protocols.
    pub(crate) fn wires(&self) -> [&'static dyn Wire; 3] {
        use ProviderName::{Alipay, Unionpay, Wechatpay};
        [Wechatpay, Alipay, Unionpay].map(|provider| self.wire(provider))
    }

    /// Starts a task that lives as long as the sandbox.
    pub(crate) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Waits a number of a provider's seconds, compressed by `callback_unit_ms`.
    pub(crate) async fn provider_seconds(&self, seconds: u64) {
        tokio::time::sleep(std::time::Duration::from_millis(seconds.saturating_mul(self.unit_ms))).await;
    }
}
