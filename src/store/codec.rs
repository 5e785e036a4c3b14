//! How values are written: a version byte, then JSON.
//!
//! Invariant: every value says which form it has, so that a later release can read it; an unknown form is refused
//! loudly. JSON, because a journal must be readable in ten years with nothing but a text tool.

use crate::ports::StoreError;
use serde::Serialize;
use serde::de::DeserializeOwned;

const FORM: u8 = 1;

/// The bytes of a value.
pub(super) fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![FORM];
    serde_json::to_writer(&mut bytes, value).map_err(|error| unreadable("written", &error))?;
    Ok(bytes)
}

/// The value of some bytes.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    match bytes.split_first() {
        Some((&FORM, json)) => serde_json::from_slice(json).map_err(|error| unreadable("read", &error)),
        Some((form, _)) => Err(StoreError::Unreadable(format!("a value has form {form}; this release reads {FORM}"))),
        None => Err(StoreError::Unreadable("a value is empty".to_owned())),
    }
}

/// The error's place, never the value: values hold payer data.
fn unreadable(what: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Unreadable(format!("a value could not be {what}: line {}, column {}", error.line(), error.column()))
}
