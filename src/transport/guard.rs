//! Which addresses a webhook may go to: merchants write the URLs, so they must not reach what only we can reach.
//!
//! Invariant: the rule on addresses is one function, `is_public`, asked when a URL is saved and again by the resolver
//! for the address that is actually dialled (a name can change its mind in between). What is not known to be public
//! is not public.

use reqwest::Url;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest URL taken.
const URL_BYTES_MAX: usize = 2048;

/// Ports above 1023 at which well-known services listen that speak something else than webhooks.
const SERVICE_PORTS: [u16; 27] = [
    1080, 1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 4369, 5432, 5672, 5900, 5984, 6000, 6379,
    6443, 9042, 9092, 10250, 10255, 11211, 25672, 27017,
];

/// Why a URL is no webhook target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// It cannot be read at all.
    #[error("is not an absolute URL")]
    NotAUrl,
    /// It is longer than 2048 bytes.
    #[error("is too long")]
    TooLong,
    /// Its scheme is not https (or http where private targets are allowed).
    #[error("must be https")]
    Scheme,
    /// It carries a user name or a password.
    #[error("must not carry a user name or password")]
    Credentials,
    /// It has a fragment, which is never sent.
    #[error("must not have a fragment")]
    Fragment,
    /// Its host is an address in an odd spelling (decimal, octal, hexadecimal, short).
    #[error("writes its host in an odd way: use a name or a plain dotted address")]
    OddHost,
    /// Its host is an address or a name inside a private network.
    #[error("leads into a private network")]
    Private,
    /// Its port belongs to another service.
    #[error("uses a port that webhooks are not sent to")]
    Port,
}

/// Checks a webhook URL before it is saved and each time before it is used. `allow_private` takes http, loopback and
/// private addresses too, for demos.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_webhook_url(text: &str, allow_private: bool) -> Result<(), UrlFault> {
    if text.len() > URL_BYTES_MAX {
        return Err(UrlFault::TooLong);
    }
    if text.bytes().any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b'\\') {
        return Err(UrlFault::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| UrlFault::NotAUrl)?;
    match url.scheme() {
        "https" => {}
        "http" if allow_private => {}
        _ => return Err(UrlFault::Scheme),
    }
    let authority = authority_of(text).ok_or(UrlFault::NotAUrl)?;
    if authority.contains('@') || !url.username().is_empty() || url.password().is_some() {
        return Err(UrlFault::Credentials);
    }
    if url.fragment().is_some() {
        return Err(UrlFault::Fragment);
    }
    check_host(&url, authority, allow_private)?;
    if port_is_allowed(url.port_or_known_default().unwrap_or(0), allow_private) { Ok(()) } else { Err(UrlFault::Port) }
}

/// Whether an address is known to lie in the public internet.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn check_host(url: &Url, authority: &str, allow_private: bool) -> Result<(), UrlFault> {
    let host = url.host_str().ok_or(UrlFault::NotAUrl)?;
    if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        let address: Ipv6Addr = inner.parse().map_err(|_| UrlFault::NotAUrl)?;
        return if allow_private || is_public_v6(address) { Ok(()) } else { Err(UrlFault::Private) };
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        let written = authority.split(':').next().unwrap_or_default();
        if written != host {
            return Err(UrlFault::OddHost);
        }
        return if allow_private || is_public_v4(address) { Ok(()) } else { Err(UrlFault::Private) };
    }
    if allow_private || is_public_name(host) { Ok(()) } else { Err(UrlFault::Private) }
}

/// A name that only a private network can resolve is refused at once; others are judged by their addresses.
fn is_public_name(host: &str) -> bool {
    const PRIVATE: [&str; 7] = ["localhost", "local", "internal", "intranet", "lan", "home.arpa", "localdomain"];
    let host = host.strip_suffix('.').unwrap_or(host);
    let ends_in = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
    host.contains('.') && !PRIVATE.iter().any(|suffix| ends_in(suffix))
}

fn port_is_allowed(port: u16, allow_private: bool) -> bool {
    match port {
        443 => true,
        80 => allow_private,
        0..1024 => false,
        _ => !SERVICE_PORTS.contains(&port),
    }
}

fn authority_of(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224..=255, _, _)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !special
}

/// Global unicast without documentation, tunnels (6to4, Teredo) and mapped forms; NAT64 by the address inside it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, ..] = address.segments();
    if (a, b, c, d, e, f) == (0x64, 0xff9b, 0, 0, 0, 0) {
        let [.., w, x, y, z] = address.octets();
        return is_public_v4(Ipv4Addr::new(w, x, y, z));
    }
    let global = a & 0xe000 == 0x2000;
    let special = matches!((a, b), (0x2001, 0..=0x01ff) | (0x2001, 0x0db8) | (0x2002, _) | (0x3fff, 0..=0x0fff));
    global && !special
}

#[cfg(test)]
mod tests;
