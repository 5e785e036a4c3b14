//! The Alipay server driven over real HTTP by a merchant that signs by hand.

mod gateway;
mod life;
mod merchant;
mod refund;
