//! What the flows need from the world, as traits: time, randomness, HTTP out. (The store's port is beside them.)
//!
//! Invariant: nothing above this line names a concrete adapter; `daemon.rs` alone puts them together.

use std::future::Future;
use std::pin::Pin;
use tongdao_core::time::UnixMillis;

/// A boxed future, so that ports stay object-safe.
pub type Io<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The time.
pub trait Clock: Send + Sync {
    /// The moment now.
    fn now(&self) -> UnixMillis;
    /// Completes at that moment (at once when it is past).
    fn sleep_until(&self, at: UnixMillis) -> Io<'_, ()>;
}

/// Randomness.
pub trait Rng: Send + Sync {
    /// 128 random bits.
    fn draw(&self) -> u128;
}
