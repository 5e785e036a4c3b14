//! What a request body may hold: a table a product, checked field by field (sections 0 and 1).
//! Guards: missing, unknown, null, mistyped, too long and 4-byte-character values are refused with the field's pointer.
//! Must not know: what a field means.

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// One key of an object.
pub(super) struct Field {
    name: &'static str,
    required: bool,
    shape: Shape,
}

/// What a value must be.
pub(super) enum Shape {
    /// Text of at most so many characters.
    Text(usize),
    /// Text of at most so many bytes of UTF-8.
    Bytes(usize),
    /// One of these words.
    Word(&'static [&'static str]),
    /// Text in which every character passes, of a length from and to.
    Number {
        from: usize,
        to: usize,
        extra: &'static str,
    },
    /// An integer of at least this.
    Integer(i64),
    Flag,
    Object(&'static [Field]),
    List(&'static Shape),
}

/// A field that must be there.
pub(super) const fn need(name: &'static str, shape: Shape) -> Field {
    Field { name, required: true, shape }
}

/// A field that may be there.
pub(super) const fn may(name: &'static str, shape: Shape) -> Field {
    Field { name, required: false, shape }
}

/// Refuses a body that does not fit the table.
pub(super) fn check(body: &Value, fields: &[Field]) -> Result<(), Refusal> {
    check_object(body, fields, "/body")
}

/// Refuses nulls and characters beyond three bytes anywhere (section 0).
pub(super) fn refuse_foreign(value: &Value, pointer: &str) -> Result<(), Refusal> {
    match value {
        Value::Null => Err(refused(pointer, value, "不能为null")),
        Value::String(text) if text.chars().any(|letter| u32::from(letter) > 0xFFFF) => {
            Err(refused(pointer, value, "包含不支持的字符"))
        }
        Value::Array(items) => {
            items.iter().enumerate().try_for_each(|(index, item)| refuse_foreign(item, &format!("{pointer}/{index}")))
        }
        Value::Object(object) => {
            object.iter().try_for_each(|(name, item)| refuse_foreign(item, &format!("{pointer}/{name}")))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Text at a path of keys, or the empty text.
pub(super) fn text<'a>(body: &'a Value, pointer: &str) -> &'a str {
    body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// An integer at a path of keys, or 0.
pub(super) fn integer(body: &Value, pointer: &str) -> i64 {
    body.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

/// The same JSON with every object's keys sorted: equal texts mean equal parameters.
pub(super) fn fingerprint(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let mut keys: Vec<&String> = object.keys().collect();
            keys.sort();
            let pairs =
                keys.iter().filter_map(|key| object.get(*key).map(|item| format!("{key:?}:{}", fingerprint(item))));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(fingerprint).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

fn check_object(value: &Value, fields: &[Field], pointer: &str) -> Result<(), Refusal> {
    let object = value.as_object().ok_or_else(|| refused(pointer, value, "应为对象"))?;
    refuse_unknown(object, fields, pointer)?;
    for field in fields {
        let place = format!("{pointer}/{}", field.name);
        match object.get(field.name) {
            Some(item) => check_value(item, &field.shape, &place)?,
            None if field.required => {
                return Err(refused(&place, &Value::from(""), "缺少必填参数"));
            }
            None => {}
        }
        let blank = object.get(field.name).and_then(Value::as_str) == Some("");
        if field.required && blank {
            return Err(refused(&place, &Value::from(""), "不能为空"));
        }
    }
    Ok(())
}

fn refuse_unknown(object: &Map<String, Value>, fields: &[Field], pointer: &str) -> Result<(), Refusal> {
    let unknown = object.iter().find(|(name, _)| !fields.iter().any(|field| field.name == name.as_str()));
    unknown.map_or(Ok(()), |(name, value)| Err(refused(&format!("{pointer}/{name}"), value, "未知参数")))
}

fn check_value(value: &Value, shape: &Shape, pointer: &str) -> Result<(), Refusal> {
    let fits = match shape {
        Shape::Text(max) => value.as_str().is_some_and(|text| text.chars().count() <= *max),
        Shape::Bytes(max) => value.as_str().is_some_and(|text| text.len() <= *max),
        Shape::Word(words) => value.as_str().is_some_and(|text| words.contains(&text)),
        Shape::Number { from, to, extra } => value.as_str().is_some_and(|text| is_number(text, *from, *to, extra)),
        Shape::Integer(least) => value.as_i64().is_some_and(|number| number >= *least),
        Shape::Flag => value.is_boolean(),
        Shape::Object(fields) => return check_object(value, fields, pointer),
        Shape::List(item) => return check_list(value, item, pointer),
    };
    if fits { Ok(()) } else { Err(refused(pointer, value, "类型、长度或取值不符合要求")) }
}

/// A merchant's number: letters, digits and the extra characters.
pub(super) fn is_number(text: &str, from: usize, to: usize, extra: &str) -> bool {
    (from..=to).contains(&text.len())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || extra.contains(letter))
}

fn check_list(value: &Value, shape: &Shape, pointer: &str) -> Result<(), Refusal> {
    let items = value.as_array().ok_or_else(|| refused(pointer, value, "应为数组"))?;
    items.iter().enumerate().try_for_each(|(index, item)| check_value(item, shape, &format!("{pointer}/{index}")))
}

fn refused(pointer: &str, value: &Value, issue: &str) -> Refusal {
    Refusal::parameter(pointer, value, issue, "body")
}
