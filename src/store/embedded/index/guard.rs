//! Opening sled without trusting it: it may panic, hang or refuse on damaged files.
//!
//! Invariant: none of that reaches the caller as anything but an `IndexError`. A thread that hangs is abandoned; its
//! directory is then renamed away, so it can do no harm.

use super::{Index, IndexError};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// sled's own lock may linger for a moment after the last owner in this process let go.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Opens the index in its directory.
pub(in crate::store::embedded) fn open_guarded(
    dir: &Path,
    cache_bytes: u64,
    limit: Duration,
) -> Result<Index, IndexError> {
    let dir = dir.to_path_buf();
    guarded(limit, move || {
        for _ in 0..LOCK_TRIES {
            match Index::open(&dir, cache_bytes) {
                Err(IndexError::Sled(sled::Error::Io(error))) if is_lock(&error) => std::thread::sleep(LOCK_PAUSE),
                opened => return opened,
            }
        }
        Err(IndexError::Busy)
    })
}

/// Runs something with sled in a thread that may panic or hang.
pub(in crate::store::embedded) fn guarded<T: Send + 'static>(
    limit: Duration,
    work: impl FnOnce() -> Result<T, IndexError> + Send + 'static,
) -> Result<T, IndexError> {
    let (give, receive) = sync_channel(1);
    let run = move || {
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(IndexError::Panicked));
        if give.send(done).is_err() {
            tracing::warn!("an abandoned index thread came back");
        }
    };
    let thread = std::thread::Builder::new().name("store-index".into()).spawn(run).map_err(IndexError::Thread)?;
    match receive.recv_timeout(limit) {
        Ok(done) => {
            // It has nothing left to do; waiting for its end keeps its last references from outliving the caller's.
            if thread.join().is_err() {
                tracing::warn!("an index thread panicked at its end");
            }
            done
        }
        Err(RecvTimeoutError::Timeout) => Err(IndexError::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(IndexError::Panicked),
    }
}

/// A kill during sled's snapshot leaves a file that no later open survives. Removing it is safe: the old snapshot
/// is removed only after the new one has its final name.
pub(in crate::store::embedded) fn remove_half_written_snapshots(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::warn!(file = %name, "removing a half-written index snapshot");
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn is_lock(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_and_a_hang_come_back_as_errors() {
        let panicked = guarded::<()>(Duration::from_secs(1), || panic!("as sled does"));
        assert!(matches!(panicked, Err(IndexError::Panicked)));
        let hung = guarded(Duration::from_millis(10), || {
            std::thread::sleep(Duration::from_millis(200));
            Ok(())
        });
        assert!(matches!(hung, Err(IndexError::TimedOut)));
    }
}
