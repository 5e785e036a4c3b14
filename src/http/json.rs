//! JSON objects as callers write them, read strictly and with every fault collected.
//!
//! Invariants: a key that stands twice is a fault, in every object that is read; a key that is not asked for is a fault; a
//! number is an integer only if it is written as one (`1`, not `1.0`, `1e3` or `"1"`), and no float is ever made. Nesting is
//! bounded before anything is parsed. It knows no field of any request.

use super::problem::{FieldFault, Problem};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::RefCell;
use std::fmt;

/// Deeper nesting than any request needs.
const DEPTH_MAX: usize = 16;
/// More faults than these are not listed.
const FAULTS_MAX: usize = 50;
/// Of an unknown key no more than this is repeated.
const NAME_CHARS_MAX: usize = 64;

/// All faults of one request.
#[derive(Debug, Default)]
pub(crate) struct Faults(RefCell<Vec<FieldFault>>);

impl Faults {
    pub(crate) fn add(&self, pointer: impl Into<String>, detail: impl Into<String>) {
        let mut list = self.0.borrow_mut();
        if list.len() < FAULTS_MAX {
            list.push(FieldFault::new(pointer, detail));
        }
    }

    /// The value, if nothing was wrong.
    pub(crate) fn close<T>(self, value: Option<T>) -> Result<T, Problem> {
        let list = self.0.into_inner();
        match value {
            Some(value) if list.is_empty() => Ok(value),
            _ => Err(Problem::InvalidRequest(list)),
        }
    }
}

/// Parses a whole body, without looking into it.
pub(crate) fn parse(body: &[u8]) -> Result<&RawValue, Problem> {
    let malformed = |why: String| Problem::MalformedRequest(why);
    let text = std::str::from_utf8(body).map_err(|_| malformed("The body is not UTF-8.".to_owned()))?;
    if depth(text) > DEPTH_MAX {
        return Err(malformed(format!("The body is nested deeper than {DEPTH_MAX}.")));
    }
    serde_json::from_str(text).map_err(|error| malformed(format!("The body is not JSON: {error}.")))
}

/// How deep brackets are nested, outside of strings.
fn depth(text: &str) -> usize {
    let (mut now, mut most) = (0_usize, 0_usize);
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                now = now.saturating_add(1);
                most = most.max(now);
            }
            b'}' | b']' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// One object whose keys are taken one by one.
#[derive(Debug)]
pub(crate) struct Fields<'a, 'f> {
    at: String,
    entries: Vec<(String, &'a RawValue)>,
    faults: &'f Faults,
}

/// What a rule says about one value.
pub(crate) type Checked<T> = Result<T, String>;

impl<'a, 'f> Fields<'a, 'f> {
    /// Reads an object; anything else is a fault.
    pub(crate) fn read(at: &str, raw: &'a RawValue, faults: &'f Faults) -> Option<Self> {
        let Ok(Entries(all)) = serde_json::from_str::<Entries<'a>>(raw.get()) else {
            faults.add(at, "must be an object");
            return None;
        };
        let mut fields = Self { at: at.to_owned(), entries: Vec::with_capacity(all.len()), faults };
        for (name, value) in all {
            if fields.entries.iter().any(|(seen, _)| *seen == name) {
                faults.add(fields.pointer(&name), "appears twice");
            } else {
                fields.entries.push((name, value));
            }
        }
        Some(fields)
    }

    /// Where a field stands.
    pub(crate) fn pointer(&self, name: &str) -> String {
        let short: String = name.chars().take(NAME_CHARS_MAX).collect();
        format!("{}/{}", self.at, short.replace('~', "~0").replace('/', "~1"))
    }

    /// A field that must be there.
    pub(crate) fn required<T>(&mut self, name: &str, rule: impl Fn(&RawValue) -> Checked<T>) -> Option<T> {
        match self.take(name) {
            None => {
                self.faults.add(self.pointer(name), "is required");
                None
            }
            Some(raw) => self.judge(name, rule(raw)),
        }
    }

    /// A field that may be absent; `null` is absent too.
    pub(crate) fn optional<T>(&mut self, name: &str, rule: impl Fn(&RawValue) -> Checked<T>) -> Option<T> {
        let raw = self.take(name).filter(|raw| raw.get() != "null")?;
        self.judge(name, rule(raw))
    }

    /// An object within, if it is there.
    pub(crate) fn object(&mut self, name: &str) -> Option<Self> {
        let raw = self.take(name).filter(|raw| raw.get() != "null")?;
        Self::read(&self.pointer(name), raw, self.faults)
    }

    /// The elements of a list that must be there.
    pub(crate) fn list(&mut self, name: &str) -> Option<Vec<&'a RawValue>> {
        let Some(raw) = self.take(name) else {
            self.faults.add(self.pointer(name), "is required");
            return None;
        };
        let elements = serde_json::from_str::<Vec<&'a RawValue>>(raw.get());
        self.judge(name, elements.map_err(|_| "must be a list".to_owned()))
    }

    /// All fields, where the names are the caller's.
    pub(crate) fn rest(&mut self) -> Vec<(String, &'a RawValue)> {
        std::mem::take(&mut self.entries)
    }

    /// A fault of one field.
    pub(crate) fn fault(&self, name: &str, detail: impl Into<String>) {
        self.faults.add(self.pointer(name), detail);
    }

    /// What nobody asked for is a fault.
    pub(crate) fn finish(self) {
        for (name, _) in &self.entries {
            self.faults.add(self.pointer(name), "is not known");
        }
    }

    fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.entries.iter().position(|(known, _)| known == name)?;
        Some(self.entries.remove(at).1)
    }

    fn judge<T>(&self, name: &str, checked: Checked<T>) -> Option<T> {
        checked.map_err(|detail| self.fault(name, detail)).ok()
    }
}

/// An integer written as one.
pub(crate) fn integer(raw: &RawValue, min: i64, max: i64) -> Checked<i64> {
    let text = raw.get();
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("must be an integer".to_owned());
    }
    let value = text.parse::<i64>().ok().filter(|value| (min..=max).contains(value));
    value.ok_or_else(|| format!("must be from {min} to {max}"))
}

/// Text of any content.
pub(crate) fn text(raw: &RawValue) -> Checked<String> {
    serde_json::from_str::<String>(raw.get()).map_err(|_| "must be a string".to_owned())
}

/// Text of some characters without control characters.
pub(crate) fn plain(raw: &RawValue, chars_max: usize) -> Checked<String> {
    let text = text(raw)?;
    if text.chars().any(char::is_control) {
        return Err("must not have control characters".to_owned());
    }
    if (1..=chars_max).contains(&text.chars().count()) {
        Ok(text)
    } else {
        Err(format!("must have 1 to {chars_max} characters"))
    }
}

/// One of some words.
pub(crate) fn word<T: Copy>(raw: &RawValue, words: &[(&str, T)]) -> Checked<T> {
    let text = text(raw)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("must be one of {}", known.join(", "))
    })
}

/// An object's entries as they stand, repeats and all.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    all.push(entry);
                }
                Ok(Entries(all))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> &RawValue {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_integer_is_one_only_if_written_as_one() {
        for (text, value) in [("1", 1), ("0", 0), ("-5", -5), ("9223372036854775807", i64::MAX)] {
            assert_eq!(integer(raw(text), i64::MIN, i64::MAX), Ok(value), "{text}");
        }
        for text in ["1.0", "1e3", "1E0", "\"1\"", "true", "null", "[1]", "{}", "1e308", "1e999", "-0.5"] {
            assert_eq!(integer(raw(text), i64::MIN, i64::MAX), Err("must be an integer".into()), "{text}");
        }
        assert!(integer(raw("9223372036854775808"), i64::MIN, i64::MAX).is_err());
        assert!(integer(raw("11"), 1, 10).is_err());
    }

    #[test]
    fn nesting_is_bounded_before_parsing() {
        let deep = "[".repeat(10_000);
        assert!(matches!(parse(deep.as_bytes()), Err(Problem::MalformedRequest(why)) if why.contains("nested")));
        assert_eq!(depth(r#"{"a":"[[[[\"[[","b":[{}]}"#), 3);
        assert!(parse(br#"{"a":{"b":[1]}}"#).is_ok());
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["", "{", "{\"a\":NaN}", "{\"a\":01}", "{'a':1}", "{\"a\":1}x", "\u{feff}{}"] {
            assert!(matches!(parse(body.as_bytes()), Err(Problem::MalformedRequest(_))), "{body}");
        }
        assert!(matches!(parse(b"{\"a\":\"\xff\"}"), Err(Problem::MalformedRequest(_))));
    }

    #[test]
    fn every_fault_is_listed_with_its_place() {
        let faults = Faults::default();
        let body = raw(r#"{"a":1,"a":2,"b":"x","in":{"c/d":1,"c/d":2},"strange":[]}"#);
        let mut fields = Fields::read("", body, &faults).unwrap();
        assert_eq!(fields.required("a", |raw| integer(raw, 1, 9)), Some(1));
        assert_eq!(fields.required("b", |raw| integer(raw, 1, 9)), None);
        assert_eq!(fields.required("gone", text), None);
        assert_eq!(fields.optional("absent", text), None);
        fields.object("in").unwrap().finish();
        fields.finish();
        let Err(Problem::InvalidRequest(list)) = faults.close(Some(())) else { panic!("no fault") };
        let list: Vec<String> = list.into_iter().map(|fault| format!("{} {}", fault.pointer, fault.detail)).collect();
        let expected = [
            "/a appears twice",
            "/b must be an integer",
            "/gone is required",
            "/in/c~1d appears twice",
            "/in/c~1d is not known",
            "/strange is not known",
        ];
        assert_eq!(list, expected);
    }

    #[test]
    fn text_with_a_lone_surrogate_is_no_text() {
        assert!(text(raw(r#""\ud800""#)).is_err());
        assert_eq!(text(raw(r#""\u4f60""#)), Ok("你".into()));
    }
}
