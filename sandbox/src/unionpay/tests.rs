//! The UnionPay server driven over real HTTP by a merchant that signs by hand.

mod front;
mod merchant;
mod order;
mod refund;
