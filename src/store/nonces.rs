//! The nonces that merchants have used, in memory, and those of them that still have to be written.
//!
//! Invariant: between taking a nonce and its end no second taking of it under the same key succeeds. Ends are
//! compared with the caller's `now`; nothing here reads a clock.
//! Memory is bounded by the request rate times the window, since whatever has run out leaves with the next taking.

use super::engine::NonceTaken;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use tongdao_core::time::UnixMillis;

/// A nonce's end and its key.
pub(crate) type Ending = (UnixMillis, Arc<[u8]>);

/// The nonces that have not run out.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    until_by_key: HashMap<Arc<[u8]>, UnixMillis>,
    by_end: BTreeSet<Ending>,
    unwritten: Vec<NonceTaken>,
    ended: Vec<Ending>,
}

impl Nonces {
    /// Takes a nonce; false when it is taken already.
    pub(crate) fn take(&mut self, nonce: NonceTaken, now: UnixMillis) -> bool {
        self.drop_ended(now);
        let key: Arc<[u8]> = key(&nonce.key_id, &nonce.nonce).into();
        if self.until_by_key.contains_key(&key) {
            return false;
        }
        self.until_by_key.insert(Arc::clone(&key), nonce.until);
        self.by_end.insert((nonce.until, key));
        self.unwritten.push(nonce);
        true
    }

    /// Puts back a nonce that was read from disk.
    pub(crate) fn restore(&mut self, key: &[u8], until: UnixMillis) {
        let key: Arc<[u8]> = key.into();
        if let Some(before) = self.until_by_key.insert(Arc::clone(&key), until) {
            self.by_end.remove(&(before, Arc::clone(&key)));
        }
        self.by_end.insert((until, key));
    }

    /// Those taken, and those run out, since the last draining.
    pub(crate) fn drain(&mut self) -> (Vec<NonceTaken>, Vec<Ending>) {
        (std::mem::take(&mut self.unwritten), std::mem::take(&mut self.ended))
    }

    fn drop_ended(&mut self, now: UnixMillis) {
        while self.by_end.first().is_some_and(|(until, _)| *until <= now) {
            let Some((until, key)) = self.by_end.pop_first() else { return };
            self.until_by_key.remove(&key);
            self.ended.push((until, key));
        }
    }
}

/// One key for a merchant key's id and a nonce; no two pairs share one.
pub(crate) fn key(key_id: &str, nonce: &str) -> Vec<u8> {
    let length = u32::try_from(key_id.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), key_id.as_bytes(), nonce.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_split_elsewhere_is_another_nonce() {
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }

    #[test]
    fn what_ran_out_is_handed_over_for_removal() {
        let mut nonces = Nonces::default();
        let taken = NonceTaken { key_id: "k".into(), nonce: "n".into(), until: UnixMillis(10) };
        assert!(nonces.take(taken.clone(), UnixMillis(0)));
        assert!(!nonces.take(taken.clone(), UnixMillis(9)));
        assert_eq!(nonces.drain(), (vec![taken.clone()], Vec::new()));
        assert!(nonces.take(taken, UnixMillis(10)));
        assert_eq!(nonces.drain().1, vec![(UnixMillis(10), key("k", "n").into())]);
    }
}
