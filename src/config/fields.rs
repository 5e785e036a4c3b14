//! Reads the keys of one table, each by its kind, and refuses what is left over.
//!
//! Invariant: reading never stops at the first fault: a bad value is reported and a stand-in returned, so that one
//! run names everything. What a stand-in is never matters, since a configuration with a fault is thrown away.

use super::fault::{Origin, Report};
use super::quantity::{read_duration, read_size};
use super::tree::{Node, Value};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

/// One table being read.
pub(super) struct Fields<'r> {
    pub(super) report: &'r Report,
    pub(super) path: String,
    pub(super) origin: Origin,
    table: BTreeMap<String, Node>,
    known: Vec<&'static str>,
}

impl<'r> Fields<'r> {
    pub(super) fn of(report: &'r Report, path: impl Into<String>, node: Node) -> Self {
        let path = path.into();
        let kind = node.kind();
        let table = match node.value {
            Value::Table(table) => table,
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Moment(_)
            | Value::List(_) => {
                report.fault(&path, &node.origin, format!("expected a table, found {kind}"));
                BTreeMap::new()
            }
        };
        Self { report, path, origin: node.origin, table, known: Vec::new() }
    }

    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    pub(super) fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        self.table.remove(key)
    }

    /// A key whose name is not fixed in the code: a provider's section.
    pub(super) fn take_named(&mut self, key: &str) -> Option<Node> {
        self.table.remove(key)
    }

    pub(super) fn missing(&self, key: &str) {
        self.report.fault(&self.path_of(key), &self.origin, "is required");
    }

    /// Reports a key that is not written.
    pub(super) fn require(&self, key: &str) {
        if !self.table.contains_key(key) {
            self.missing(key);
        }
    }

    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.require(key);
        self.parsed(key, parse)
    }

    /// A text value, read further by `parse`, whose error is reported at the key.
    pub(super) fn parsed<T>(&mut self, key: &'static str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let node = self.take(key)?;
        let kind = node.kind();
        let result = match node.value {
            Value::Text(text) => parse(&text),
            Value::Integer(_)
            | Value::Float(_)
            | Value::Boolean(_)
            | Value::Moment(_)
            | Value::List(_)
            | Value::Table(_) => Err(format!("expected text in quotes, found {kind}")),
        };
        result.map_err(|message| self.report.fault(&self.path_of(key), &node.origin, message)).ok()
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        range: RangeInclusive<Duration>,
        default: Duration,
    ) -> Duration {
        let wanted = self.parsed(key, |text| {
            let duration = read_duration(text)?;
            if range.contains(&duration) { Ok(duration) } else { Err(outside("the duration", &range)) }
        });
        wanted.unwrap_or(default)
    }

    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let wanted = self.parsed(key, |text| {
            let size = read_size(text)?;
            if range.contains(&size) {
                Ok(size)
            } else {
                Err(format!("must be {} to {} bytes", range.start(), range.end()))
            }
        });
        wanted.unwrap_or(default)
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(node) = self.take(key) else { return default };
        let read = match &node.value {
            Value::Boolean(value) => Some(*value),
            Value::Text(raw) if from_environment(&node) => raw.parse().ok(),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Float(_)
            | Value::Moment(_)
            | Value::List(_)
            | Value::Table(_) => None,
        };
        read.unwrap_or_else(|| {
            let message = format!("expected true or false, found {}", node.kind());
            self.report.fault(&self.path_of(key), &node.origin, message);
            default
        })
    }

    pub(super) fn integer(&mut self, key: &'static str, range: RangeInclusive<i64>) -> Option<i64> {
        let node = self.take(key)?;
        let read = match &node.value {
            Value::Integer(number) => Some(*number),
            Value::Text(raw) if from_environment(&node) => raw.parse().ok(),
            Value::Text(_)
            | Value::Boolean(_)
            | Value::Float(_)
            | Value::Moment(_)
            | Value::List(_)
            | Value::Table(_) => None,
        };
        let message = match read {
            Some(number) if range.contains(&number) => return Some(number),
            Some(number) => format!("must be {} to {}, not {number}", range.start(), range.end()),
            None => format!("expected a whole number, found {}", node.kind()),
        };
        self.report.fault(&self.path_of(key), &node.origin, message);
        None
    }

    pub(super) fn table(&mut self, key: &'static str) -> Option<Fields<'r>> {
        let node = self.take(key)?;
        Some(Fields::of(self.report, self.path_of(key), node))
    }

    /// The table under a key, empty where it is not written.
    pub(super) fn section(&mut self, key: &'static str) -> Fields<'r> {
        let node = self.take(key).unwrap_or_else(|| Node::table(Origin::Nowhere));
        Fields::of(self.report, self.path_of(key), node)
    }

    /// The items of a list with their paths; none where it is not written.
    pub(super) fn list(&mut self, key: &'static str) -> Option<Vec<(String, Node)>> {
        let node = self.take(key)?;
        let path = self.path_of(key);
        let kind = node.kind();
        let Value::List(items) = node.value else {
            self.report.fault(&path, &node.origin, format!("expected a list, found {kind}"));
            return None;
        };
        Some(items.into_iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect())
    }

    /// The entries of a table with free keys.
    pub(super) fn entries(&mut self) -> Vec<(String, Node)> {
        std::mem::take(&mut self.table).into_iter().collect()
    }

    /// Refuses what is left over and passes a value on, so that a reader can close and go on in one step.
    pub(super) fn close_with<T>(self, value: T) -> T {
        self.finish();
        value
    }

    /// Refuses every key that nothing has asked for.
    pub(super) fn finish(mut self) {
        self.known.sort_unstable();
        for (key, node) in &self.table {
            let message = format!("unknown key; known here: {}", self.known.join(", "));
            self.report.fault(&self.path_of(key), &node.origin, message);
        }
    }
}

fn from_environment(node: &Node) -> bool {
    matches!(node.origin, Origin::Variable(_))
}

fn outside(what: &str, range: &RangeInclusive<Duration>) -> String {
    use super::quantity::show_duration;
    format!("{what} must be {} to {}", show_duration(*range.start()), show_duration(*range.end()))
}
