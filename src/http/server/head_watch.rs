//! Watches the heads of requests as they come off the wire, for what the HTTP parser settles by itself without telling.
//!
//! Invariant: a request whose head states its length twice (`Content-Length` and `Transfer-Encoding`) is marked before
//! any handler runs; two servers in a row could read it in two ways. The bytes pass through unchanged. Behind a
//! chunked body the watch ends: the front closes such a connection after its answer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Of a line no more is kept: the two names and a number fit.
const LINE_BYTES_MAX: usize = 64;

/// Set once a head with two lengths was seen on a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct TwoLengths(Arc<AtomicBool>);

impl TwoLengths {
    pub(super) fn seen(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A socket whose incoming heads are watched.
pub(super) struct Watched<S> {
    socket: S,
    watch: HeadWatch,
}

impl<S> Watched<S> {
    pub(super) fn new(socket: S) -> (Self, TwoLengths) {
        let mark = TwoLengths::default();
        (Self { socket, watch: HeadWatch { mark: mark.clone(), ..HeadWatch::default() } }, mark)
    }
}

#[derive(Default)]
struct HeadWatch {
    mark: TwoLengths,
    line: Vec<u8>,
    /// The lines of this head so far: blank ones before it do not count.
    lines: usize,
    length: Option<u64>,
    coded: bool,
    /// Bytes of a body still to come.
    body_left: u64,
    off: bool,
}

impl HeadWatch {
    fn see(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !self.off && !rest.is_empty() {
            let skipped = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(rest.len());
            self.body_left = self.body_left.saturating_sub(u64::try_from(skipped).unwrap_or(u64::MAX));
            let (_, head) = rest.split_at(skipped);
            let Some(end) = head.iter().position(|byte| *byte == b'\n') else {
                self.keep(head);
                return;
            };
            let (line, after) = head.split_at(end);
            self.keep(line);
            self.line_ended();
            rest = after.get(1..).unwrap_or_default();
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = LINE_BYTES_MAX.saturating_sub(self.line.len());
        self.line.extend(part.iter().take(room));
    }

    fn line_ended(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = line.trim_ascii_end();
        if line.is_empty() {
            if self.lines > 0 {
                self.head_ended();
            }
            return;
        }
        self.lines = self.lines.saturating_add(1);
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        if name.eq_ignore_ascii_case(b"content-length") {
            let value = value.get(1..).unwrap_or_default().trim_ascii();
            self.length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).or(Some(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.coded = true;
        }
        if self.coded && self.length.is_some() {
            self.mark.0.store(true, Ordering::Relaxed);
        }
    }

    fn head_ended(&mut self) {
        self.off = self.coded || self.mark.seen();
        self.body_left = self.length.take().unwrap_or(0);
        self.lines = 0;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        self.watch.see(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(text: &str, pieces: usize) -> bool {
        let mut watch = HeadWatch::default();
        for piece in text.as_bytes().chunks(pieces) {
            watch.see(piece);
        }
        watch.mark.seen()
    }

    #[test]
    fn a_head_with_two_lengths_is_marked_however_it_arrives() {
        let get = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";
        let rows = [
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", true),
            ("\r\nPOST / HTTP/1.1\ntransfer-ENCODING:chunked\ncontent-length:4\n\n", true),
            (
                "POST / HTTP/1.1\r\nContent-Length: 60\r\n\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\nxxxxxxxxxxxx",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabPOST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                true,
            ),
            ("POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd", false),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nContent-Length: 4\r\n", false),
            ("POST / HTTP/1.1\r\nX-Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", false),
        ];
        for (text, expected) in rows {
            for pieces in [1, 7, 1000] {
                assert_eq!(marked(text, pieces), expected, "{text:?} in pieces of {pieces}");
                assert_eq!(marked(&format!("{get}{get}{text}"), pieces), expected, "{text:?} behind others");
            }
        }
    }
}
