//! Where the command line writes: results to standard output, remarks to standard error.
//!
//! Invariant: with `--json` standard output holds one JSON document and nothing else; colours appear on a terminal
//! only, and never under `--no-color` or `NO_COLOR`. What is drawn is decided elsewhere; this only writes it.

use crate::config::Env;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};
use std::io::{self, IsTerminal as _, Write as _};

/// How a word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
    /// Beside the point.
    Faint,
    /// A heading.
    Strong,
}

/// Standard output and standard error of one command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Out {
    json: bool,
    colors: bool,
}

impl Out {
    /// Looks at the flags, the environment and the terminal.
    pub(crate) fn new(json: bool, no_color: bool, env: &Env) -> Self {
        let refused = no_color || env.get("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, colors: !refused && !json && io::stdout().is_terminal() }
    }

    /// No colours, whatever stands around.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { json: false, colors: false }
    }

    /// Whether the caller wants JSON.
    pub(crate) const fn wants_json(&self) -> bool {
        self.json
    }

    /// Whether a person is watching.
    pub(crate) fn is_terminal(&self) -> bool {
        !self.json && io::stdout().is_terminal()
    }

    /// Writes text, with a newline at its end.
    pub(crate) fn text(&self, text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{}", text.trim_end_matches('\n'))?;
        stdout.flush()
    }

    /// Writes a JSON document.
    pub(crate) fn document(&self, value: &serde_json::Value) -> io::Result<()> {
        self.text(&format!("{value:#}"))
    }

    /// Writes the document under `--json`, else what is drawn from it.
    pub(crate) fn either(&self, value: &serde_json::Value, drawn: impl FnOnce() -> String) -> io::Result<()> {
        if self.json { self.document(value) } else { self.text(&drawn()) }
    }

    /// A remark beside the result.
    pub(crate) fn remark(&self, text: &str) -> io::Result<()> {
        writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'))
    }

    /// The text in the colour of its meaning.
    pub(crate) fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.colors {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A table with a heading; columns whose heading begins with `>` are numbers and stand to the right. Widths count
/// Chinese characters as two.
pub(crate) fn table(heading: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(heading.iter().map(|name| name.trim_start_matches('>').to_owned()));
    table.add_rows(rows);
    for (column, name) in table.column_iter_mut().zip(heading) {
        column.set_constraint(ColumnConstraint::ContentWidth).set_padding((0, 2));
        if name.starts_with('>') {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let drawn = table.to_string();
    drawn.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_cells_keep_the_columns_straight() {
        let rows = vec![
            vec!["m_demo".to_owned(), "演示卡铺".to_owned(), "19.99".to_owned()],
            vec!["m_2".to_owned(), "shop".to_owned(), "5.00".to_owned()],
        ];
        insta::assert_snapshot!(table(&["merchant", "name", ">amount"], rows), @r"
        merchant  name      amount
        m_demo    演示卡铺   19.99
        m_2       shop        5.00
        ");
    }

    #[test]
    fn nothing_is_coloured_where_colours_are_refused() {
        assert_eq!(Out::plain().paint(Tone::Bad, "x"), "x");
        let env = Env::from([("NO_COLOR".to_owned(), "1".to_owned())]);
        assert_eq!(Out::new(false, false, &env).paint(Tone::Bad, "x"), "x");
    }
}
