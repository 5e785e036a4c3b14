//! An answer that goes to the disk as it comes.
//!
//! Invariant: the file is new, readable by its owner only, and gone again unless the whole answer is in it; memory
//! holds one chunk at a time, whatever the answer's length.

use super::sending::{MaybeSent, TransportError};
use crate::ports::Downloaded;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt as _;

/// Removes what was begun unless it is kept.
struct Begun(Option<PathBuf>);

impl Begun {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let Some(path) = self.0.take() else { return };
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "half a file could not be removed");
        }
    }
}

/// Writes the body of an answer to a new file.
pub(super) async fn fill(
    mut response: reqwest::Response,
    to: &Path,
    bytes_max: u64,
) -> Result<Downloaded, TransportError> {
    let mut file = match create(to).await {
        Ok(file) => file,
        Err(error) => return Ok(unfit(&error)),
    };
    let begun = Begun(Some(to.to_owned()));
    let mut bytes = 0_u64;
    while let Some(chunk) = response.chunk().await.map_err(|_| TransportError::MaybeSent(MaybeSent::Broken))? {
        bytes = bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if bytes > bytes_max {
            return Ok(Downloaded::Unfit(format!("it is larger than {bytes_max} bytes")));
        }
        if let Err(error) = file.write_all(&chunk).await {
            return Ok(unfit(&error));
        }
    }
    if let Err(error) = file.flush().await {
        return Ok(unfit(&error));
    }
    begun.keep();
    Ok(Downloaded::Whole { bytes })
}

async fn create(to: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).await
}

fn unfit(error: &io::Error) -> Downloaded {
    Downloaded::Unfit(format!("the disk did not take it: {error}"))
}
