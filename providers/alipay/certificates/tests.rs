//! In tests.
