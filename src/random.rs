//! The operating system's randomness: ids, nonces, tokens and the seeds of choices.
//!
//! Invariant: without randomness nothing can be signed or numbered safely, so its absence ends the process.

use crate::ports::Rng;

/// Draws from the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRng;

impl Rng for SystemRng {
    fn draw(&self) -> u128 {
        let mut bytes = [0; 16];
        let drawn = getrandom::fill(&mut bytes);
        assert!(drawn.is_ok(), "the operating system gives no randomness");
        u128::from_be_bytes(bytes)
    }
}
