//! The UnionPay server driven over real HTTP by a merchant that signs by hand.
//! Guards: everything goes over real HTTP and every answer is verified before it is looked at.
//! Must not know: how the server keeps its orders.

mod front;
mod merchant;
mod order;
mod refund;
mod statement;
