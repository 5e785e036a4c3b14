//! Requests exactly as written: signatures cover the path, the query and the body byte for byte.
//!
//! Invariant: a URL that the parser would change is refused before anything is sent, never sent differently.

use super::sending::{Mark, NotSent, marked};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Client, Method, Request, Url};

/// A request whose target is the text's own bytes, with the mark that tells whether it went out.
pub(super) fn request(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(String, String)],
    body: Vec<u8>,
) -> Result<(Request, Mark), NotSent> {
    let url = exact_url(url)?;
    let (body, mark) = marked(body);
    let mut builder = client.request(method, url);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| NotSent::BadHeader)?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| NotSent::BadHeader)?;
        builder = builder.header(name, value);
    }
    if let Some(body) = body {
        builder = builder.body(body);
    }
    builder.build().map(|request| (request, mark)).map_err(|_| NotSent::BadUrl)
}

/// The URL, refused where a parser would send other bytes than were signed.
fn exact_url(text: &str) -> Result<Url, NotSent> {
    let url = Url::parse(text).map_err(|_| NotSent::BadUrl)?;
    let web = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let written = rest.find(['/', '?', '#']).and_then(|at| rest.get(at..)).unwrap_or("/");
    let (path, query) = written.split_once('?').map_or((written, None), |(path, query)| (path, Some(query)));
    let same = url.path() == path && url.query() == query && url.fragment().is_none();
    if web && same { Ok(url) } else { Err(NotSent::BadUrl) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_sent_as_written_or_not_at_all() {
        for url in [
            "https://api.example/v3/pay/transactions/out-trade-no/A1?mchid=1900000001",
            "https://api.example/x?bill_date=2026-01-01&tar=%7C&plus=a+b&space=a%20b&lower=%e4%bd%a0",
            "http://127.0.0.1:9102/gateway.do?sign=a%2Bb%3D&biz=%7B%22a%22%3A1%7D",
            "https://api.example/a%2Fb//c",
            "https://api.example",
        ] {
            let exact = exact_url(url).unwrap();
            assert_eq!(exact.as_str().trim_end_matches('/'), url.trim_end_matches('/'));
        }
        for url in [
            "https://api.example/a b",
            "https://api.example/a/../b",
            "https://api.example/%2e%2e/b",
            "https://api.example/x?a='",
            "https://api.example/你好",
            "https://api.example/x#y",
            "https://u:p@api.example/x",
            "https://api.example/a\nb",
            "https://api.example?x=1",
            "file:///etc/passwd",
            "/v3/pay",
        ] {
            assert_eq!(exact_url(url).err(), Some(NotSent::BadUrl), "{url}");
        }
    }
}
