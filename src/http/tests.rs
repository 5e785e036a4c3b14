//! The public listener's handlers over a memory store and a provider of paper.

mod access;
mod callbacks;
mod charges;
mod contract;
mod events;
mod listing;
mod paper;
mod refunds;
mod wire;
mod world;
