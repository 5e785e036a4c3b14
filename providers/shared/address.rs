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
    fn the_sandbox_takes_loopback_by_http() {
        assert_eq!(url_fault("http://127.0.0.1:9101/v3", Environment::Sandbox, &[]), None);
        assert!(url_fault("file:///etc/passwd", Environment::Sandbox, &[]).is_some());
    }
}
