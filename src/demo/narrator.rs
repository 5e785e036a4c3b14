//! Tells what happens, in short lines with the time: on a terminal in colour with one live line at the bottom, in a
//! pipe plainly.
//!
//! Invariant: with `--json` standard output is left to the one document at the end, and the story goes to standard
//! error. A reader that went away stops nothing: the run goes on and its exit code stays true.

use crate::clock::Stopwatch;
use comfy_table::{CellAlignment, Table, TableComponent, presets};
use std::io::{self, IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

/// In a pipe a progress line comes this often.
const PIPE_EVERY_MS: i64 = 2000;

/// How a line is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Scene,
    Plain,
    Good,
    Bad,
    Faint,
}

/// The voice of the demo.
#[derive(Debug)]
pub(crate) struct Narrator {
    took: Stopwatch,
    json: bool,
    terminal: bool,
    colors: bool,
    screen: Mutex<Screen>,
}

#[derive(Debug, Default)]
struct Screen {
    /// A progress line stands at the bottom and is overwritten by the next line.
    live: bool,
    progress_ms: i64,
}

impl Narrator {
    pub(crate) fn new(json: bool, no_color: bool) -> Self {
        let terminal = if json { io::stderr().is_terminal() } else { io::stdout().is_terminal() };
        let colors = terminal && !no_color;
        Self { took: Stopwatch::start(), json, terminal, colors, screen: Mutex::default() }
    }

    /// Milliseconds since the demo began.
    pub(crate) fn elapsed_ms(&self) -> i64 {
        self.took.elapsed_ms()
    }

    /// One line of the story.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        let mark = match tone {
            Tone::Scene => "▶ ",
            Tone::Good => "  ✓ ",
            Tone::Bad => "  ✗ ",
            Tone::Plain | Tone::Faint => "    ",
        };
        let gap = if tone == Tone::Scene { "\n" } else { "" };
        self.line(&format!("{gap}{} {}", self.time(), self.paint(tone, &format!("{mark}{text}"))));
    }

    /// Lines that stand for themselves, such as a table.
    pub(crate) fn block(&self, text: &str) {
        for line in text.lines() {
            self.line(&format!("    {line}"));
        }
    }

    /// How things stand now: the live line of a terminal; in a pipe a line every two seconds.
    pub(crate) fn progress(&self, text: &str) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.elapsed_ms();
        let line = format!("{} {}", self.time(), self.paint(Tone::Faint, &format!("  {text}")));
        if self.terminal {
            self.write(&format!("\r\u{1b}[2K{line}"));
            screen.live = true;
        } else if now_ms.saturating_sub(screen.progress_ms) >= PIPE_EVERY_MS {
            self.write(&format!("{line}\n"));
            screen.progress_ms = now_ms;
        }
    }

    /// The result for programs.
    pub(crate) fn document(&self, value: &serde_json::Value) {
        if self.json {
            write_to(io::stdout().lock(), &format!("{value:#}\n"));
        }
    }

    fn line(&self, text: &str) {
        let mut screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let clear = if std::mem::take(&mut screen.live) { "\r\u{1b}[2K" } else { "" };
        screen.progress_ms = self.elapsed_ms();
        self.write(&format!("{clear}{text}\n"));
    }

    fn write(&self, text: &str) {
        if self.json { write_to(io::stderr().lock(), text) } else { write_to(io::stdout().lock(), text) }
    }

    fn time(&self) -> String {
        let ms = self.elapsed_ms();
        format!("[{:>4}.{}s]", ms.div_euclid(1000), ms.rem_euclid(1000).div_euclid(100))
    }

    fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Scene => "1;36",
            Tone::Good => "32",
            Tone::Bad => "1;31",
            Tone::Faint => "2",
            Tone::Plain => return text.to_owned(),
        };
        if self.colors { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A table whose first column is text and whose other columns are numbers; Chinese characters count as two.
pub(crate) fn table(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(heading.iter().copied()).add_rows(rows);
    table.remove_style(TableComponent::HorizontalLines).remove_style(TableComponent::MiddleIntersections);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}

/// Fen as yuan, as people read money.
pub(crate) fn yuan(fen: i64) -> String {
    let sign = if fen < 0 { "-" } else { "" };
    let fen = fen.unsigned_abs();
    format!("{sign}{}.{:02}", fen.div_euclid(100), fen.rem_euclid(100))
}

fn write_to(mut out: impl Write, text: &str) {
    // Whoever read it may be gone; the run is worth its exit code even so.
    drop(out.write_all(text.as_bytes()).and_then(|()| out.flush()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_as_yuan() {
        assert_eq!([yuan(0), yuan(5), yuan(199_900), yuan(-1999)], ["0.00", "0.05", "1999.00", "-19.99"]);
    }
}
