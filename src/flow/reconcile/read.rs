//! Reads a statement twice, on a thread of its own: once to believe it, once to book it.
//!
//! Invariant: no line of a file is handed on before the whole of it was read, sealed and added up; memory holds a
//! bounded number of lines whatever the file's length; a second reading that ends otherwise than the first is a fault.

use super::fetch::StatementFile;
use std::fs::File;
use std::io::BufReader;
use std::sync::Arc;
use tokio::sync::mpsc;
use tongdao_core::day::Day;
use tongdao_core::provider::{Provider, StatementFault, StatementLine, StatementTotals};

/// Lines handed on together: a chunk costs the store one read and one write.
pub(super) const CHUNK_LINES: usize = 256;
/// Chunks that may wait for the store.
const CHUNKS_WAITING: usize = 4;
const READ_BYTES: usize = 64 * 1024;

/// A statement whose whole file was found to be in order.
pub(super) struct Checked {
    file: StatementFile,
    provider: Arc<dyn Provider>,
    day: Day,
    totals: StatementTotals,
}

/// What the second reading hands on.
pub(super) type Chunks = mpsc::Receiver<Result<Vec<StatementLine>, StatementFault>>;

impl StatementFile {
    /// Reads the whole file and believes it, or not.
    pub(super) async fn check(self, provider: Arc<dyn Provider>, day: Day) -> Result<Checked, StatementFault> {
        let work = move || {
            let totals = self.read(provider.as_ref(), day, &mut |_| Ok(()))?;
            Ok(Checked { file: self, provider, day, totals })
        };
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|_join| Err(died()))
    }

    fn read(
        &self,
        provider: &dyn Provider,
        day: Day,
        each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
    ) -> Result<StatementTotals, StatementFault> {
        let opened = self.spooled.open().map_err(|error| StatementFault::Stopped(error.to_string()))?;
        let mut file: BufReader<File> = BufReader::with_capacity(READ_BYTES, opened);
        provider.read_statement_file(day, &mut file, self.seal.as_ref(), each)
    }
}

impl Checked {
    /// Lines in the file.
    pub(super) const fn lines(&self) -> u64 {
        self.totals.payments.count.saturating_add(self.totals.refunds.count)
    }

    /// Reads the file again and hands its lines on in chunks. The file is gone when the last chunk was read.
    pub(super) fn chunks(self) -> Chunks {
        let (send, chunks) = mpsc::channel(CHUNKS_WAITING);
        tokio::task::spawn_blocking(move || {
            if let Err(fault) = self.hand_on(&send) {
                // Whoever stopped listening needs no reason.
                let _heard = send.blocking_send(Err(fault));
            }
        });
        chunks
    }

    fn hand_on(&self, send: &mpsc::Sender<Result<Vec<StatementLine>, StatementFault>>) -> Result<(), StatementFault> {
        let mut chunk = Vec::with_capacity(CHUNK_LINES);
        let give = |chunk: &mut Vec<StatementLine>| {
            let full = std::mem::replace(chunk, Vec::with_capacity(CHUNK_LINES));
            send.blocking_send(Ok(full)).map_err(|_| StatementFault::Stopped("nobody books its lines".to_owned()))
        };
        let totals = self.file.read(self.provider.as_ref(), self.day, &mut |line| {
            chunk.push(line);
            if chunk.len() >= CHUNK_LINES { give(&mut chunk) } else { Ok(()) }
        })?;
        if totals != self.totals {
            return Err(StatementFault::File("it changed while it was read".to_owned()));
        }
        if chunk.is_empty() { Ok(()) } else { give(&mut chunk) }
    }
}

fn died() -> StatementFault {
    StatementFault::Stopped("the thread that read it died".to_owned())
}
