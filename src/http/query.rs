//! Query strings of lists, read as strictly as bodies.
//!
//! Invariant: a name that stands twice or that nobody knows is a fault, so a misspelt filter never shows everything.

use super::json::Checked;
use super::problem::{FieldFault, Problem};
use axum::extract::Query as Pairs;
use axum::http::Uri;
use tongdao_core::time::UnixMillis;

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 200;

/// The parameters of one request.
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    faults: Vec<FieldFault>,
}

impl Query {
    pub(crate) fn read(uri: &Uri) -> Result<Self, Problem> {
        let Pairs(pairs) = Pairs::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|_| Problem::MalformedRequest("The query string cannot be read.".to_owned()))?;
        let mut query = Self { pairs: Vec::new(), faults: Vec::new() };
        for (name, value) in pairs {
            if query.pairs.iter().any(|(seen, _)| *seen == name) {
                query.fault(&name, "appears twice");
            } else {
                query.pairs.push((name, value));
            }
        }
        Ok(query)
    }

    /// A parameter that may be absent.
    pub(crate) fn optional<T>(&mut self, name: &str, rule: impl Fn(&str) -> Checked<T>) -> Option<T> {
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.pairs.remove(at);
        match rule(&value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.fault(name, detail);
                None
            }
        }
    }

    /// A parameter that must be there.
    pub(crate) fn required<T>(&mut self, name: &str, rule: impl Fn(&str) -> Checked<T>) -> Option<T> {
        if self.pairs.iter().all(|(known, _)| known != name) {
            self.fault(name, "is required");
        }
        self.optional(name, rule)
    }

    /// How many to show.
    pub(crate) fn limit(&mut self) -> usize {
        let rule = |text: &str| {
            let limit = text.parse::<usize>().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
            limit.ok_or_else(|| format!("must be an integer from 1 to {LIMIT_MAX}"))
        };
        self.optional("limit", rule).unwrap_or(LIMIT_DEFAULT)
    }

    /// What nobody asked for is a fault; so is everything found before.
    pub(crate) fn finish(mut self) -> Result<(), Problem> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            self.fault(&name, "is not known");
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::InvalidRequest(self.faults)) }
    }

    fn fault(&mut self, name: &str, detail: impl Into<String>) {
        let short: String = name.chars().take(64).collect();
        if self.faults.len() < 50 {
            self.faults.push(FieldFault::new(format!("?{short}"), detail));
        }
    }
}

/// An id, a cursor, a word: whatever can be read from text.
pub(crate) fn parsed<T: std::str::FromStr>(what: &'static str) -> impl Fn(&str) -> Checked<T> {
    move |text| text.parse().map_err(|_| format!("must be {what}"))
}

/// One of some words.
pub(crate) fn one_of<T: Copy>(words: &[(&'static str, T)]) -> impl Fn(&str) -> Checked<T> {
    move |text| {
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        found.ok_or_else(|| {
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            format!("must be one of {}", known.join(", "))
        })
    }
}

/// An RFC 3339 moment.
pub(crate) fn moment(text: &str) -> Checked<UnixMillis> {
    let at = text.parse::<jiff::Timestamp>().map_err(|_| "must be an RFC 3339 time".to_owned())?;
    Ok(UnixMillis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &'static str) -> Query {
        Query::read(&Uri::from_static(text)).unwrap()
    }

    #[test]
    fn a_misspelt_or_doubled_filter_is_a_fault() {
        let mut read = query("/v1/charges?limit=0&status=odd&statuz=paid&limit=5");
        assert_eq!(read.limit(), LIMIT_DEFAULT);
        assert_eq!(read.optional("status", one_of(&[("paid", 1)])), None);
        let Err(Problem::InvalidRequest(list)) = read.finish() else { panic!("no fault") };
        let places: Vec<&str> = list.iter().map(|fault| fault.pointer.as_str()).collect();
        assert_eq!(places, ["?limit", "?limit", "?status", "?statuz"]);
    }

    #[test]
    fn sane_filters_are_read() {
        let mut read = query("/v1/charges?limit=200&created_after=2025-12-17T19%3A33%3A20.120Z");
        assert_eq!(read.limit(), 200);
        assert_eq!(read.optional("created_after", moment), Some(UnixMillis(1_766_000_000_120)));
        assert!(read.finish().is_ok());
    }
}
