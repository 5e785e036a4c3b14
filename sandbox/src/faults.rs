//! Faults on demand: per provider, account and operation, settable while the servers run.
//! The most specific setting wins (account before operation before provider); a spent or outdated setting is as if it
//! were not there. Guards: without settings nothing ever fails. Must not know: how a provider words an error.

mod fault;
mod statement;

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use fault::{Fault, FaultKind};
pub use statement::StatementFault;
pub(crate) use statement::StatementTwist;

use crate::dice::Dice;
use crate::options::ProviderName;
use crate::wire::Twist;

/// What a call asks of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Make an order or a code.
    Create,
    /// Ask an order's state.
    Query,
    /// Close an unpaid order.
    Close,
    /// Return money.
    Refund,
    /// Ask a refund's state.
    RefundQuery,
    /// The provider's own call to the merchant.
    Callback,
    /// Ask for a day's statement or fetch it.
    Statement,
    /// Fetch certificates or other material that moves no money.
    Certificates,
}

/// Where a fault applies; an absent part means "any".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultScope {
    /// The provider.
    pub provider: ProviderName,
    /// `mchid`, `app_id` or `merId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// One operation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
}

/// A fault and where it applies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultSetting {
    /// Where.
    #[serde(flatten)]
    pub scope: FaultScope,
    /// What.
    pub fault: Fault,
}

/// What chance decided for one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Drawn {
    pub(crate) latency_ms: u64,
    pub(crate) hang_ms: u64,
    pub(crate) kind: Option<FaultKind>,
    /// How refunds accepted now end, and after how many of the provider's seconds.
    pub(crate) refund_state: Option<crate::ledger::RefundState>,
    pub(crate) refund_delay_s: Option<u64>,
    pub(crate) twist: StatementTwist,
}

impl Drawn {
    /// Whether this fault was drawn.
    pub(crate) fn is(&self, kind: FaultKind) -> bool {
        self.kind == Some(kind)
    }
}

/// What chance decided for one event's callbacks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct DrawnCallback {
    pub(crate) doubled: bool,
    pub(crate) delay_ms: u64,
    pub(crate) twist: Twist,
}

/// The settings of one sandbox.
#[derive(Debug)]
pub(crate) struct Faults {
    settings: Mutex<Vec<FaultSetting>>,
    changes: watch::Sender<u64>,
}

impl Faults {
    pub(crate) fn new() -> Self {
        Self { settings: Mutex::new(Vec::new()), changes: watch::Sender::new(0) }
    }

    /// Sets a fault, replacing the one of the same scope.
    pub(crate) fn set(&self, setting: FaultSetting) {
        self.change(|settings| {
            settings.retain(|other| other.scope != setting.scope);
            settings.push(setting);
        });
    }

    /// Removes every fault.
    pub(crate) fn clear(&self) {
        self.change(Vec::clear);
    }

    /// Removes the fault of one scope.
    pub(crate) fn remove(&self, scope: &FaultScope) {
        self.change(|settings| settings.retain(|other| other.scope != *scope));
    }

    /// The settings in force.
    pub(crate) fn list(&self) -> Vec<FaultSetting> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Wakes at each change of settings.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Draws what happens to a request.
    pub(crate) fn draw(&self, scope: &Scope<'_>, dice: &Dice, now: i64) -> Drawn {
        self.with_match(scope, now, |fault| {
            let mut drawn = Drawn {
                latency_ms: fault.latency_ms.saturating_add(dice.below(fault.jitter_ms.saturating_add(1))),
                hang_ms: fault.hang_ms,
                kind: None,
                refund_state: fault.refund_state,
                refund_delay_s: fault.refund_delay_s,
                twist: fault.statement_twist(),
            };
            if fault.kind.is_some() && dice.chance(fault.fail_ratio) {
                drawn.kind = fault.spend();
            }
            drawn
        })
        .unwrap_or_default()
    }

    /// Whether a fault says once more that a statement is not ready.
    pub(crate) fn delays_statement(&self, scope: &Scope<'_>, now: i64) -> bool {
        self.with_match(scope, now, |fault| {
            let left = fault.statement.not_ready;
            fault.statement.not_ready = left.saturating_sub(1);
            left > 0
        })
        .unwrap_or(false)
    }

    /// Draws what happens to the callbacks of one event.
    pub(crate) fn draw_callback(&self, scope: &Scope<'_>, now: i64) -> DrawnCallback {
        self.with_match(scope, now, |fault| DrawnCallback {
            doubled: fault.doubled,
            delay_ms: fault.delay_ms,
            twist: fault.twist(),
        })
        .unwrap_or_default()
    }

    /// Whether one sending of a callback gets lost.
    pub(crate) fn loses(&self, scope: &Scope<'_>, dice: &Dice, now: i64) -> bool {
        self.with_match(scope, now, |fault| dice.chance(fault.lost_ratio)).unwrap_or(false)
    }

    /// Whether the callback is to reach the merchant before the reply to the create call does.
    pub(crate) fn before_reply(&self, scope: &Scope<'_>, now: i64) -> bool {
        self.with_match(scope, now, |fault| fault.before_reply).unwrap_or(false)
    }

    /// Whether codes of this account can be made but not paid.
    pub(crate) fn silent(&self, provider: ProviderName, account: &str, now: i64) -> bool {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.iter().any(|setting| {
            let here = setting.scope.provider == provider
                && setting.scope.account.as_deref().is_none_or(|named| named == account);
            here && setting.fault.silent && setting.fault.in_force(now)
        })
    }

    /// Whether the provider's whole socket refuses connections.
    pub(crate) fn refuses(&self, provider: ProviderName, now: i64) -> bool {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.iter().any(|setting| {
            let whole = setting.scope.provider == provider
                && setting.scope.account.is_none()
                && setting.scope.operation.is_none();
            let always = setting.fault.kind == Some(FaultKind::RefuseConnection) && setting.fault.fail_ratio >= 1.0;
            whole && always && setting.fault.count.is_none() && setting.fault.in_force(now)
        })
    }

    fn change(&self, act: impl FnOnce(&mut Vec<FaultSetting>)) {
        act(&mut self.settings.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn with_match<R>(&self, scope: &Scope<'_>, now: i64, act: impl FnOnce(&mut Fault) -> R) -> Option<R> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let matching =
            settings.iter_mut().filter(|setting| scope.within(&setting.scope) && setting.fault.in_force(now));
        matching
            .max_by_key(|setting| (setting.scope.account.is_some(), setting.scope.operation.is_some()))
            .map(|setting| act(&mut setting.fault))
    }
}

/// One request's place among the scopes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) provider: ProviderName,
    pub(crate) account: &'a str,
    pub(crate) operation: Operation,
}

impl Scope<'_> {
    fn within(&self, scope: &FaultScope) -> bool {
        scope.provider == self.provider
            && scope.account.as_deref().is_none_or(|account| account == self.account)
            && scope.operation.is_none_or(|operation| operation == self.operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(account: Option<&str>, operation: Option<Operation>, fault: Fault) -> FaultSetting {
        let scope = FaultScope { provider: ProviderName::Alipay, account: account.map(str::to_owned), operation };
        FaultSetting { scope, fault }
    }

    fn draw(faults: &Faults, account: &str, operation: Operation, now: i64) -> Option<FaultKind> {
        let scope = Scope { provider: ProviderName::Alipay, account, operation };
        faults.draw(&scope, &Dice::new(1), now).kind
    }

    #[test]
    fn the_most_specific_setting_wins() {
        let faults = Faults::new();
        faults.set(setting(None, None, Fault::kind(FaultKind::Congested)));
        faults.set(setting(Some("a"), None, Fault::kind(FaultKind::ServerError)));
        faults.set(setting(Some("a"), Some(Operation::Query), Fault::default()));
        assert_eq!(draw(&faults, "b", Operation::Create, 0), Some(FaultKind::Congested));
        assert_eq!(draw(&faults, "a", Operation::Create, 0), Some(FaultKind::ServerError));
        assert_eq!(draw(&faults, "a", Operation::Query, 0), None);
    }

    #[test]
    fn a_fault_ends_by_count_and_by_time() {
        let faults = Faults::new();
        faults.set(setting(None, None, Fault { count: Some(1), ..Fault::kind(FaultKind::Html502) }));
        assert_eq!(draw(&faults, "a", Operation::Create, 0), Some(FaultKind::Html502));
        assert_eq!(draw(&faults, "a", Operation::Create, 0), None);
        faults.set(setting(None, None, Fault { until: Some(10), ..Fault::kind(FaultKind::Html502) }));
        assert_eq!(draw(&faults, "a", Operation::Create, 9), Some(FaultKind::Html502));
        assert_eq!(draw(&faults, "a", Operation::Create, 10), None);
    }

    #[test]
    fn a_setting_reads_from_the_control_servers_json() {
        let text =
            r#"{"provider":"alipay","operation":"refund_query","fault":{"kind":"hang_after_commit","fail_ratio":0.5}}"#;
        let read: FaultSetting = serde_json::from_str(text).unwrap();
        assert_eq!(read.scope.operation, Some(Operation::RefundQuery));
        assert_eq!(read.fault.kind, Some(FaultKind::HangAfterCommit));
    }
}
