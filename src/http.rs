//! The daemon's HTTP: the public listener for merchants, providers and payers.
//!
//! Invariants: a merchant sees only what is its own; every refusal is a problem document; work that moves money goes on to
//! its end when the caller hangs up. Handlers know `flow` and wire types; they decide nothing about money and know no
//! adapter of the store or the network.

pub mod admin;
mod auth;
mod body;
mod charge_document;
mod dto;
mod event_document;
pub(crate) mod front;
mod json;
mod limits;
pub(crate) mod problem;
mod query;
mod requests;
pub mod server;
mod words;

pub use dto::ApiDocuments;

use crate::flow::Flow;
use limits::Limits;
use std::sync::Arc;

/// What the handlers share; cheap to clone.
#[derive(Clone)]
pub struct Api {
    pub(crate) flow: Arc<Flow>,
    pub(crate) limits: Arc<Limits>,
}
