//! The journal as lines of JSON: the audit trail for people and for other programs.
//!
//! Invariant: one line a record, in order, each with its hash, so that an export can be compared with the journal it
//! came from. Keys are shown as hex behind their kind; values are the JSON that was stored. It opens nothing for writing.

use super::embedded::{JournalRecord, OpenError, Payload, VerifyReport, read_journal};
use super::engine::RawBatch;
use super::{codec, keys};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    /// The journal is damaged or cannot be read.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The lines could not be written.
    #[error("the export could not be written: {0}")]
    Write(#[from] io::Error),
}

/// Writes every record of a store's journal as a line.
pub(crate) fn export(dir: &Path, out: &mut dyn Write) -> Result<VerifyReport, ExportError> {
    let mut written = Ok(());
    let report = read_journal(dir, &mut |record| {
        if written.is_ok() {
            written = writeln!(out, "{}", line_of(&record));
        }
    })?;
    written?;
    out.flush()?;
    Ok(report)
}

fn line_of(record: &JournalRecord) -> Value {
    let content = match &record.payload {
        Payload::Batch(batch) => batch_of(batch),
        // Who called, and until when the nonce is remembered; the nonce itself is of no use to anybody.
        Payload::Nonces(nonces) => json!({ "nonces": nonces.iter().map(|taken| {
            json!({ "key_id": taken.key_id, "until": taken.until.0 })
        }).collect::<Vec<_>>() }),
    };
    json!({ "seq": record.seq, "hash": hex(&record.hash), "content": content })
}

fn batch_of(batch: &RawBatch) -> Value {
    let puts = batch.puts.iter().map(|put| {
        let value = codec::read::<Value>(&put.value).unwrap_or_else(|_| json!(hex(&put.value)));
        json!({ "kind": keys::kind(&put.key), "key": hex(&put.key), "version": put.version, "value": value })
    });
    let timers = batch.timers_set.iter().map(|timer| json!({ "timer": hex(&timer.id), "due_at": timer.due_at.0 }));
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "puts": puts.collect::<Vec<_>>(),
        "deletes": batch.deletes.iter().map(|key| hex(key)).collect::<Vec<_>>(),
        "timers_set": timers.collect::<Vec<_>>(),
        "timers_cleared": batch.timers_cleared.iter().map(|id| hex(id)).collect::<Vec<_>>(),
        "notes": batch.notes.iter().map(text).collect::<Vec<_>>(),
    })
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        // Writing to a String cannot fail.
        if write!(text, "{byte:02x}").is_err() {
            return text;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::embedded::{EmbeddedEngine, EmbeddedOptions};
    use crate::store::engine::{Engine as _, Expect, Put, Urgency};

    #[tokio::test]
    async fn every_record_is_one_line_with_its_value_readable() {
        let dir = tempfile::tempdir().unwrap();
        let engine = EmbeddedEngine::open(dir.path(), EmbeddedOptions::small()).unwrap();
        for n in 0..3_u8 {
            let value = codec::write(&json!({ "n": n })).unwrap();
            let puts = vec![Put { key: vec![b'o', n], version: 1, value, expect: Expect::Absent }];
            engine.commit(RawBatch { puts, ..RawBatch::default() }, Urgency::Vital).await.unwrap();
        }
        engine.close().await;
        drop(engine);
        let mut lines = Vec::new();
        let report = export(dir.path(), &mut lines).unwrap();
        let lines: Vec<Value> =
            String::from_utf8(lines).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((report.records, lines.len()), (3, 3));
        assert_eq!(lines[2]["content"]["puts"][0]["value"], json!({ "n": 2 }));
        assert_eq!(lines[2]["content"]["puts"][0]["kind"], "charge");
        assert_eq!(lines[2]["hash"], hex(&report.hash));
    }
}
