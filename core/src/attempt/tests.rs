//! Tests of this life.
