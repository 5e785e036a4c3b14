//! The daemon as a whole, in one process with the sandbox providers and a merchant's server, over real HTTP on free
//! ports. Time is one movable clock that all of them share, so no test waits for a ladder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unreachable_pub)]

mod attacks;
mod breaks;
mod callbacks;
mod charges;
mod cli;
mod delivery;
mod failover;
mod kill;
mod merchant;
mod overrides;
mod reconcile;
mod refunds;
mod restart;
mod retry;
mod rotation;
mod router;
mod world;
