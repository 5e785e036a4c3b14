//! What every provider of the registry keeps about statements, checked alike for all of them.
//!
//! Invariant: a provider that is added without its golden statement here fails the first check. Nothing here knows a
//! protocol; each provider's testing module hands over an account, a file of 2026-12-01 and an answer that says "none".

use crate::{REGISTRY, alipay, unionpay, wechatpay};
use std::io::Cursor;
use tongdao_core::day::Day;
use tongdao_core::provider::{
    HttpReply, LineKind, Nonce, Provider, StatementFault, StatementLine, StatementOutcome, StatementTotals,
};
use tongdao_core::time::UnixMillis;

/// An account, its golden statement, and the answer to a question about a day without one.
pub(crate) struct Golden {
    pub(crate) provider: Box<dyn Provider>,
    /// A moment at which the account's certificates and the answer hold.
    pub(crate) now: UnixMillis,
    pub(crate) file: Vec<u8>,
    pub(crate) none: HttpReply,
}

fn all() -> Vec<Golden> {
    let all = vec![wechatpay::golden(), alipay::golden(), unionpay::golden()];
    let ids: Vec<&str> = all.iter().map(|golden| golden.provider.id().as_str()).collect();
    assert_eq!(ids, REGISTRY.iter().map(|entry| entry.id).collect::<Vec<_>>(), "one golden statement a provider");
    all
}

fn day() -> Day {
    "2026-12-01".parse().unwrap()
}

fn nonce() -> Nonce {
    Nonce("n".repeat(32))
}

type Read = Result<(Vec<StatementLine>, StatementTotals), StatementFault>;

fn read(golden: &Golden, day: Day, file: &mut Cursor<Vec<u8>>) -> Read {
    let mut lines = Vec::new();
    let totals = golden.provider.read_statement_file(day, file, None, &mut |line| {
        lines.push(line);
        Ok(())
    })?;
    Ok((lines, totals))
}

#[test]
fn every_provider_says_when_its_statements_are_there() {
    for golden in all() {
        let terms = golden.provider.statement_terms().unwrap();
        let day_ms = 86_400_000;
        assert!(terms.turns_ms.abs() < day_ms && terms.ready_ms > day_ms, "a day is over before it is asked for");
        assert!(terms.again_ms >= 60_000 && terms.kept_days >= 30 && terms.strays_days >= 1);
        let call = golden.provider.statement(day(), golden.now, nonce()).unwrap();
        assert!(call.url.starts_with("https://"), "{call:?}");
    }
}

#[test]
fn every_golden_statement_is_read_twice_alike_and_adds_up() {
    for golden in all() {
        let mut file = Cursor::new(golden.file.clone());
        let first = read(&golden, day(), &mut file).unwrap();
        assert_eq!(read(&golden, day(), &mut file).unwrap(), first, "it is wound back by the reader");
        let (lines, totals) = first;
        let sum = |kind| -> i64 { lines.iter().filter(|line| line.kind == kind).map(|line| line.amount.amount).sum() };
        assert_eq!((totals.payments.amount, totals.refunds.amount), (sum(LineKind::Payment), sum(LineKind::Refund)));
        assert_eq!(totals.fee, lines.iter().filter_map(|line| line.fee).sum::<i64>());
        assert!(totals.payments.count > 0 && totals.refunds.count > 0);
        assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line));
        for line in lines {
            assert!(line.amount.amount >= 0, "{line:?}");
            assert!(line.kind == LineKind::Refund || line.provider_refund_no.is_none(), "{line:?}");
            assert!(line.kind == LineKind::Refund || line.provider_order_no.is_some(), "{line:?}");
        }
    }
}

#[test]
fn another_day_an_empty_file_and_one_that_is_none_are_faults() {
    for golden in all() {
        let id = golden.provider.id().as_str().to_owned();
        let other = day().plus(9);
        assert!(read(&golden, other, &mut Cursor::new(golden.file.clone())).is_err(), "{id}");
        for bytes in
            [&b""[..], b"\xef\xbb\xbf", b"<html><body>error</body></html>\r\n", b"{\"code\":\"x\"}\n", &[0; 64]]
        {
            assert!(read(&golden, day(), &mut Cursor::new(bytes.to_vec())).is_err(), "{id}");
        }
    }
}

#[test]
fn a_reader_of_lines_that_stops_is_heard() {
    for golden in all() {
        let stop = StatementFault::Stopped("the store is full".to_owned());
        let mut file = Cursor::new(golden.file.clone());
        let stopped = golden.provider.read_statement_file(day(), &mut file, None, &mut |_| Err(stop.clone()));
        assert_eq!(stopped, Err(stop));
    }
}

#[test]
fn only_their_own_word_says_that_there_is_no_statement() {
    for golden in all() {
        let judge = |reply: &HttpReply| golden.provider.read_statement(day(), reply, golden.now, nonce());
        assert_eq!(judge(&golden.none), StatementOutcome::Absent);
        for reply in [
            HttpReply::new(200, "text/html", ""),
            HttpReply::new(200, "application/json", "{}"),
            HttpReply::new(404, "text/html", "<html>not found</html>"),
            HttpReply::new(429, "text/plain", "slow down"),
            HttpReply::new(502, "text/html", "<html>bad gateway</html>"),
        ] {
            assert!(matches!(judge(&reply), StatementOutcome::Failed(_)), "{reply:?}");
        }
    }
}
