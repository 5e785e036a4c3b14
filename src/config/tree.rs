//! A configuration as a tree whose every value knows the line it came from, before anything is made of it.
//!
//! Invariant: environment overrides and `text_file` values are put in here, so that what reads the tree later never
//! cares where a value was written. It knows TOML and nothing of the keys.

use super::Env;
use super::fault::{Origin, Report};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// The prefix of environment variables that override a key: `TONGDAO__SERVER__PUBLIC_LISTEN`.
const PREFIX: &str = "TONGDAO__";

/// A value and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A TOML value. A date is kept as its text: no key takes one.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Moment(String),
    List(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    pub(super) fn table(origin: Origin) -> Self {
        Self { value: Value::Table(BTreeMap::new()), origin }
    }

    pub(super) const fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "text",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a decimal number",
            Value::Boolean(_) => "true or false",
            Value::Moment(_) => "a date or a number out of range",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub(super) fn child(&self, key: &str) -> Option<&Self> {
        match &self.value {
            Value::Table(table) => table.get(key),
            Value::List(list) => list.get(key.parse::<usize>().ok()?),
            Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Moment(_) => None,
        }
    }

    /// The deepest value on a path such as `sign_cert.password` or `platform_certificates[0]`, for its line.
    pub(super) fn nearest(&self, path: &str) -> &Self {
        let steps = path.split(['.', '[', ']']).filter(|step| !step.is_empty());
        let mut here = self;
        for step in steps {
            let Some(next) = here.child(step) else { break };
            here = next;
        }
        here
    }

    /// The tree as JSON, which is what a provider's builder reads.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) if matches!(self.origin, Origin::Variable(_)) => match text.as_str() {
                "true" => true.into(),
                "false" => false.into(),
                _ => text.as_str().into(),
            },
            Value::Text(text) | Value::Moment(text) => text.as_str().into(),
            Value::Integer(number) => (*number).into(),
            Value::Float(number) => (*number).into(),
            Value::Boolean(value) => (*value).into(),
            Value::List(list) => list.iter().map(Self::to_json).collect(),
            Value::Table(table) => {
                serde_json::Value::Object(table.iter().map(|(key, node)| (key.clone(), node.to_json())).collect())
            }
        }
    }
}

/// Reads a whole file; what cannot be parsed is reported and left out.
pub(super) fn read(text: &str, report: &Report) -> Node {
    let lines = Lines::of(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let origin = error.span().map_or(Origin::Nowhere, |span| Origin::Line(lines.at(span.start)));
        report.fault("", &origin, format!("not valid TOML: {}", error.message()));
    }
    let at = |start| Origin::Line(lines.at(start));
    Node { value: table_of(table.get_ref(), &at), origin: Origin::Nowhere }
}

/// Puts every `TONGDAO__…` variable in its place; list items are named by index or by their `id`.
pub(super) fn overlay(root: &mut Node, env: &Env, report: &Report) {
    for (name, raw) in env {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let steps: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        let origin = Origin::Variable(name.clone());
        if !place(root, &steps, from_variable(raw, &origin)) {
            report.fault("", &origin, "names no key or list item of this configuration");
        }
    }
}

/// Replaces each `{ text_file = "…" }` by the trimmed content of that file: for values that are made together with
/// keys, such as a certificate's serial number.
pub(super) fn read_text_files(node: &mut Node, path: &str, report: &Report) {
    match &mut node.value {
        Value::Table(table) => {
            if let Some(Value::Text(file)) = table.get("text_file").map(|file| &file.value) {
                match std::fs::read_to_string(file) {
                    Ok(text) => node.value = Value::Text(text.trim().to_owned()),
                    Err(error) => {
                        report.fault(path, &node.origin, format!("cannot read {file}: {}", super::secret::why(&error)))
                    }
                }
                return;
            }
            for (key, child) in table {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                read_text_files(child, &path, report);
            }
        }
        Value::List(list) => {
            for (index, child) in list.iter_mut().enumerate() {
                read_text_files(child, &format!("{path}[{index}]"), report);
            }
        }
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Moment(_) => {}
    }
}

fn table_of(table: &DeTable<'_>, at: &dyn Fn(usize) -> Origin) -> Value {
    let entries = table.iter().map(|(key, value)| {
        let node = Node { value: value_of(value.get_ref(), at), origin: at(key.span().start) };
        (key.get_ref().to_string(), node)
    });
    Value::Table(entries.collect())
}

fn value_of(value: &DeValue<'_>, at: &dyn Fn(usize) -> Origin) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Moment(number.to_string()), Value::Integer),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(list) => {
            let items =
                list.iter().map(|item| Node { value: value_of(item.get_ref(), at), origin: at(item.span().start) });
            Value::List(items.collect())
        }
        DeValue::Table(table) => table_of(table, at),
    }
}

/// Lists and tables are written as TOML in a variable; everything else stays text and is read by the key's own kind.
fn from_variable(raw: &str, origin: &Origin) -> Node {
    let structured = raw.starts_with(['[', '{']);
    let parsed = if structured { DeValue::parse(raw).ok() } else { None };
    let at = |_| origin.clone();
    let value = parsed.map_or_else(|| Value::Text(raw.to_owned()), |parsed| value_of(parsed.get_ref(), &at));
    Node { value, origin: origin.clone() }
}

fn place(node: &mut Node, steps: &[String], new: Node) -> bool {
    let Some((step, rest)) = steps.split_first() else {
        let fits = !(holds_sections(node) && matches!(new.value, Value::Text(_)));
        if fits {
            *node = typed_like(node, new);
        }
        return fits;
    };
    if step.is_empty() {
        return false;
    }
    if let Value::List(list) = &mut node.value {
        let found = match step.parse::<usize>() {
            Ok(index) => list.get_mut(index),
            Err(_) => list.iter_mut().find(|item| has_id(item, step)),
        };
        return found.is_some_and(|item| place(item, rest, new));
    }
    if !matches!(node.value, Value::Table(_)) {
        *node = Node::table(new.origin.clone());
    }
    let Value::Table(table) = &mut node.value else { return false };
    let known = table.keys().find(|key| same_word(key, step)).cloned();
    let child = table.entry(known.unwrap_or_else(|| step.clone()));
    place(child.or_insert_with(|| Node::table(new.origin.clone())), rest, new)
}

/// Whether a table holds sections, which a text cannot replace; a secret's `{ file = … }` it can.
fn holds_sections(node: &Node) -> bool {
    let is_source = ["file", "env", "text_file"].iter().any(|key| node.child(key).is_some());
    !is_source && matches!(&node.value, Value::Table(table) if !table.is_empty())
}

fn typed_like(old: &Node, new: Node) -> Node {
    let Value::Text(raw) = &new.value else { return new };
    let value = match &old.value {
        Value::Integer(_) => raw.parse().ok().map(Value::Integer),
        Value::Boolean(_) => raw.parse().ok().map(Value::Boolean),
        Value::Text(_) | Value::Float(_) | Value::Moment(_) | Value::List(_) | Value::Table(_) => None,
    };
    Node { value: value.unwrap_or_else(|| new.value.clone()), origin: new.origin }
}

fn has_id(item: &Node, step: &str) -> bool {
    matches!(item.child("id").map(|id| &id.value), Some(Value::Text(id)) if same_word(id, step))
}

fn same_word(key: &str, step: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' || byte == b'.' { b'_' } else { byte.to_ascii_lowercase() };
    key.len() == step.len() && key.bytes().zip(step.bytes()).all(|(a, b)| plain(a) == plain(b))
}

/// The starts of a text's lines.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at.saturating_add(1));
        Self(std::iter::once(0).chain(after).collect())
    }

    fn at(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}
