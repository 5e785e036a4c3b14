//! What the kernel says of a process: processor time, memory, bytes written.
//!
//! Invariant: differences of two readings are what was used between them; a process that is gone reads as an error,
//! never as zero.

use anyhow::Context as _;
use std::time::Duration;

/// The kernel counts processor time in hundredths of a second on every Linux that this runs on (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// One reading.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reading {
    pub(crate) cpu: Duration,
    pub(crate) written_bytes: u64,
    pub(crate) rss_kib: u64,
    pub(crate) rss_peak_kib: u64,
}

impl Reading {
    /// Reads a process by its id.
    pub(crate) fn of(pid: u32) -> anyhow::Result<Self> {
        let file = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let (stat, status, io) = (file("stat")?, file("status")?, file("io")?);
        Ok(Self {
            cpu: cpu(&stat).context("the kernel's stat line has another form")?,
            written_bytes: field(&io, "write_bytes:").context("no write_bytes")?,
            rss_kib: field(&status, "VmRSS:").context("no VmRSS")?,
            rss_peak_kib: field(&status, "VmHWM:").context("no VmHWM")?,
        })
    }

    /// Reads this process.
    pub(crate) fn own() -> anyhow::Result<Self> {
        Self::of(std::process::id())
    }

    /// Processor time since an earlier reading.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> Duration {
        self.cpu.saturating_sub(earlier.cpu)
    }
}

/// Fields 14 and 15: the name in field 2 may hold spaces, so they are counted behind its bracket.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let ticks = |text: Option<&str>| text.and_then(|text| text.parse::<u32>().ok());
    Some(TICK.saturating_mul(ticks(fields.next())?.saturating_add(ticks(fields.next())?)))
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_move_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1 1 1";
        assert_eq!(cpu(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu("7 (x) S"), None);
    }

    #[test]
    fn this_process_is_read() {
        let own = Reading::own().unwrap();
        assert!(own.rss_kib > 100 && own.rss_peak_kib >= own.rss_kib);
    }
}
