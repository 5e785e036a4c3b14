//! Signatures as merchants write them, and every way to get one wrong.

use super::*;
