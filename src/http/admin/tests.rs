//! The admin side over its router: who gets in, and what is shown to them.
