//! The daily statement (README, section 7): the signed question, its answer, the download, the file's container.
//!
//! Invariant: only an answer whose signature holds names a file, and the file is fetched from WeChat Pay's own hosts
//! alone (the download is signed with our key). The file itself is not signed: its SHA-1 in the signed answer and
//! its own sums are what it is believed by, and both are checked after its last byte. Rows are read in `rows`.

mod rows;

use super::WechatPay;
use super::calls::{doubt, is_success};
use super::{codes, wire};
use crate::shared::address::{is_on, origin};
use crate::shared::statement::bounded::{Bounded, rewound, unpacked_max};
use crate::shared::statement::{file_fault, io_fault};
use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use flate2::bufread::MultiGzDecoder;
use std::io::{BufRead as _, BufReader, Read};
use tongdao_core::day::Day;
use tongdao_core::provider::{
    Environment, ErrorClass, Failure, HttpCall, HttpReply, Method, Nonce, Seal, StatementBytes, StatementFault,
    StatementLine, StatementOutcome, StatementTerms, StatementTotals, Unsupported,
};
use tongdao_core::time::UnixMillis;

/// Made from nine, fetched from ten the next morning; kept three months.
pub(super) const TERMS: StatementTerms =
    StatementTerms { turns_ms: 0, ready_ms: 34 * 3_600_000, again_ms: 30 * 60_000, kept_days: 90, strays_days: 1 };

/// What a file must be about.
pub(super) struct Expected<'a> {
    /// Our merchant number.
    pub(super) mch_id: &'a str,
    /// The day that was asked for.
    pub(super) day: Day,
}

impl WechatPay {
    pub(super) fn write_statement(&self, day: Day, now: UnixMillis, nonce: &Nonce) -> Result<HttpCall, Unsupported> {
        let target = format!("/v3/bill/tradebill?bill_date={day}&bill_type=ALL&tar_type=GZIP");
        self.call(&target, None, now, nonce)
    }

    pub(super) fn judge_statement(&self, reply: &HttpReply, now: UnixMillis, nonce: &Nonce) -> StatementOutcome {
        if !is_success(reply) {
            return codes::statement(reply);
        }
        let address: wire::StatementAddress = match self.signed_body(reply, now) {
            Ok(address) => address,
            Err(failure) => return StatementOutcome::Failed(failure),
        };
        let is_hash = address.hash_value.len() == 40 && address.hash_value.bytes().all(|b| b.is_ascii_hexdigit());
        if address.hash_type != "SHA1" || !is_hash {
            return StatementOutcome::Failed(doubt("unknown_hash", "the statement's hash is not a SHA-1"));
        }
        if !self.is_own_address(&address.download_url) {
            return StatementOutcome::Failed(doubt("foreign_address", "the file's address is not WeChat Pay's"));
        }
        let call = HttpCall {
            method: Method::Get,
            url: address.download_url,
            backup_url: None,
            headers: Vec::new(),
            body: Vec::new(),
        };
        match self.signed(call, now, nonce) {
            Ok(call) => StatementOutcome::Download { call, seal: Some(Seal::Sha1(address.hash_value)) },
            Err(Unsupported(why)) => StatementOutcome::Failed(Failure::new(ErrorClass::Misconfigured, "signing", why)),
        }
    }

    /// An https address on a host of WeChat Pay's or on one that is configured, byte for byte; in the sandbox also a
    /// configured one by http.
    fn is_own_address(&self, url: &str) -> bool {
        let sandbox = self.options.environment == Environment::Sandbox;
        let backup = self.options.backup_base_url.as_deref();
        let configured = [Some(self.options.base_url.as_str()), backup].into_iter().flatten().filter_map(origin);
        let origins: Vec<&str> = configured.chain(HOSTS).filter(|o| sandbox || o.starts_with("https://")).collect();
        is_on(url, &origins)
    }
}

/// Reads a file, packed by gzip or plain (README 7).
pub(super) fn read_file(
    expected: &Expected<'_>,
    file: &mut dyn StatementBytes,
    seal: Option<&Seal>,
    each: &mut dyn FnMut(StatementLine) -> Result<(), StatementFault>,
) -> Result<StatementTotals, StatementFault> {
    let length = rewound(file)?;
    let mut raw = BufReader::with_capacity(BUFFER_BYTES, Digesting::new(file));
    let is_packed = raw.fill_buf().map_err(|error| io_fault(&error))?.starts_with(&GZIP);
    let (totals, digests) = if is_packed {
        let unpacked = Bounded::new(MultiGzDecoder::new(raw), unpacked_max(length));
        let mut text = BufReader::with_capacity(BUFFER_BYTES, Digesting::new(unpacked));
        let totals = rows::read(expected, &mut text, each)?;
        let (plain, unpacked) = text.into_inner().finish();
        let (raw, _) = unpacked.into_inner().into_inner().into_inner().finish();
        (totals, vec![plain, raw])
    } else {
        let totals = rows::read(expected, &mut raw, each)?;
        (totals, vec![raw.into_inner().finish().0])
    };
    match seal {
        // The hash is of the file unpacked; one of the packed file is taken too, since the newest page does not say.
        Some(Seal::Sha1(hash)) if !digests.contains(&hash.to_ascii_lowercase()) => {
            Err(file_fault("the file's SHA-1 is not the one that the signed answer says"))
        }
        Some(Seal::Sha1(_)) | None => Ok(totals),
    }
}

const HOSTS: [&str; 2] = ["https://api.mch.weixin.qq.com", "https://api2.mch.weixin.qq.com"];
const GZIP: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 64 << 10;

/// A reader that hashes what passes.
struct Digesting<R> {
    inner: R,
    context: Context,
}

impl<R: Read> Digesting<R> {
    fn new(inner: R) -> Self {
        Self { inner, context: Context::new(&SHA1_FOR_LEGACY_USE_ONLY) }
    }

    /// The hash in lower-case hex, and what was read from.
    fn finish(self) -> (String, R) {
        let digest = self.context.finish();
        (digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect(), self.inner)
    }
}

impl<R: Read> Read for Digesting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.context.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
