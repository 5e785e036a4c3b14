//! x
mod codes;
mod message;
mod sign;
