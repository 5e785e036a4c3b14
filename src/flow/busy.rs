//! What this process is doing right now: charges being created or retried, webhooks in flight, questions just asked.
//!
//! Invariant: a name is held by one task at a time and freed when its guard goes, whatever way that task ends. It is
//! memory only: after a crash nothing is busy, and the stored timers take over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tongdao_core::ids::ChargeId;
use tongdao_core::time::UnixMillis;

const STRIPES: usize = 256;
const ASKED_MAX: usize = 10_000;

/// The names now held.
pub(crate) struct Busy {
    held: Arc<Mutex<BTreeSet<String>>>,
    asked: Mutex<BTreeMap<String, UnixMillis>>,
    stripes: Vec<AsyncMutex<()>>,
}

/// Holds a name until it is dropped.
pub(crate) struct Held {
    held: Arc<Mutex<BTreeSet<String>>>,
    name: String,
}

impl Busy {
    pub(crate) fn new() -> Self {
        let stripes = (0..STRIPES).map(|_| AsyncMutex::new(())).collect();
        Self { held: Arc::default(), asked: Mutex::default(), stripes }
    }

    /// Takes a name; `None` while somebody else holds it.
    pub(crate) fn hold(&self, name: String) -> Option<Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(name.clone()).then(|| Held { held: self.held.clone(), name })
    }

    /// Takes one of `places` numbered names; `None` while all are held.
    pub(crate) fn hold_one_of(&self, name: &str, places: u32) -> Option<Held> {
        (0..places).find_map(|place| self.hold(format!("{name} {place}")))
    }

    /// Whether somebody holds the name.
    pub(crate) fn is_held(&self, name: &str) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// True at most once per `every_ms` for a name: a stranger's repeats start no storm of ours.
    pub(crate) fn may_ask(&self, name: &str, every_ms: i64, now: UnixMillis) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.get(name).is_some_and(|last| now.since_ms(*last) < every_ms) {
            return false;
        }
        if asked.len() >= ASKED_MAX {
            asked.retain(|_, last| now.since_ms(*last) < every_ms);
        }
        if asked.len() >= ASKED_MAX {
            return false;
        }
        asked.insert(name.to_owned(), now);
        true
    }

    /// One change of a charge at a time in this process, so that none is worked out in vain.
    pub(crate) async fn turn(&self, charge: ChargeId) -> Option<MutexGuard<'_, ()>> {
        let last = charge.to_bytes().last().copied().unwrap_or_default();
        match self.stripes.get(usize::from(last)) {
            Some(stripe) => Some(stripe.lock().await),
            None => None,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

/// The name under which a charge's create or retry is held.
pub(crate) fn collecting(charge: ChargeId) -> String {
    format!("collecting {charge}")
}

/// The name under which a try of `charge.paid` is held.
pub(crate) fn sending(charge: ChargeId) -> String {
    format!("sending {charge}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_when_its_guard_goes() {
        let busy = Busy::new();
        let held = busy.hold("a".into());
        assert!(held.is_some() && busy.is_held("a") && busy.hold("a".into()).is_none());
        drop(held);
        assert!(busy.hold("a".into()).is_some());
    }

    #[test]
    fn a_question_is_asked_once_a_minute() {
        let (busy, now) = (Busy::new(), UnixMillis(1_000_000));
        assert!(busy.may_ask("q", 60_000, now));
        assert!(!busy.may_ask("q", 60_000, now.plus_s(59)));
        assert!(busy.may_ask("q", 60_000, now.plus_s(60)));
    }
}
