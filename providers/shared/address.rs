//! Which addresses a provider may be configured at.
//!
//! Invariant: in production a call goes by https to a host that is neither this machine nor a test system; test
//! systems are named by their provider. What is taken is plain enough that nothing re-encodes it behind a signature.

use tongdao_core::provider::Environment;

/// What is wrong with an address, if anything. `test_hosts`: suffixes of the provider's own test systems.
pub(crate) fn url_fault(text: &str, environment: Environment, test_hosts: &[&str]) -> Option<&'static str> {
    let sandbox = environment == Environment::Sandbox;
    let rest = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => rest,
        (None, Some(rest)) if sandbox => rest,
        (None, Some(_)) => return Some("must begin with https:// (http:// is taken in the sandbox environment only)"),
        (None, None) => return Some("must begin with https://"),
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let plain = |part: &str, extra: &[u8]| part.bytes().all(|b| b.is_ascii_alphanumeric() || extra.contains(&b));
    if authority.is_empty() || !plain(authority, b".-:[]") || !plain(path, b"./-_~") {
        return Some("must be a plain address: a host, perhaps a port and a path, no user, query or fragment");
    }
    if !sandbox && is_for_tests(authority, test_hosts) {
        return Some("is an address of this machine or of a test system, taken in the sandbox environment only");
    }
    None
}

/// Scheme and authority of an absolute URL, as they are written.
pub(crate) fn origin(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next().filter(|authority| !authority.is_empty())?;
    url.get(..scheme.len().checked_add(3)?.checked_add(authority.len())?)
}

/// Whether an address that came in an answer has one of these origins, byte for byte, and no byte in it that two
/// readers could take for another host.
pub(crate) fn is_on(url: &str, origins: &[&str]) -> bool {
    let plain = url.len() <= 2048 && url.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\');
    plain && origin(url).is_some_and(|named| origins.contains(&named))
}

fn is_for_tests(authority: &str, test_hosts: &[&str]) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || test_hosts.iter().any(|suffix| host.ends_with(suffix))
        || address.is_ok_and(|address| address.to_canonical().is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_takes_plain_https_addresses_of_real_systems_only() {
        let fault = |text: &str| url_fault(text, Environment::Production, &[".test.example"]).is_some();
        for good in ["https://api.example", "https://api.example:8443/gateway.do", "https://203.0.113.9/a/b-c_d~e"] {
            assert!(!fault(good), "{good}");
        }
        let bad = [
            "",
            "http://api.example",
            "ftp://api.example",
            "https://",
            "https://user@api.example",
            "https://a.example?x=1",
            "https://a.example/#x",
            "https://localhost",
            "https://a.localhost",
            "https://127.0.0.1:1",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://0.0.0.0",
            "https://gw.test.example",
            "https://a.example/%7C",
        ];
        for text in bad {
            assert!(fault(text), "{text}");
        }
    }

    #[test]
    fn an_address_is_on_a_host_only_when_it_names_exactly_that_one() {
        let is_on = |url| is_on(url, &["http://bills.example"]);
        assert!(is_on("http://bills.example/a?b=c%2B") && is_on("http://bills.example?b"));
        for url in [
            "https://bills.example/a",
            "http://bills.example.evil/a",
            "http://bills.example:80/a",
            "http://bills.example@evil/a",
            "http://evil/bills.example",
            "http://evil\\@bills.example/",
            "http://bills.example/#a",
            "http://bills.example/a b",
            "http://BILLS.example/a",
            "bills.example/a",
            "",
        ] {
            assert!(!is_on(url), "{url}");
        }
    }

    #[test]
    fn the_sandbox_takes_loopback_by_http() {
        assert_eq!(url_fault("http://127.0.0.1:9101/v3", Environment::Sandbox, &[]), None);
        assert!(url_fault("file:///etc/passwd", Environment::Sandbox, &[]).is_some());
    }
}
