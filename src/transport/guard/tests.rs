//! Tests of the guard: rows of URLs and what is said of them.

use super::UrlFault::{Credentials, Fragment, NotAUrl, OddHost, Port, Private, Scheme};
use super::*;

/// Where merchants may not lead us, and what is said of it.
const REFUSED: &[(&str, UrlFault)] = &[
    ("https://127.0.0.1/n", Private),
    ("https://127.1.2.3/n", Private),
    ("https://169.254.169.254/latest/meta-data", Private),
    ("https://10.0.0.1/n", Private),
    ("https://172.16.0.1/n", Private),
    ("https://172.31.255.255/n", Private),
    ("https://192.168.1.1/n", Private),
    ("https://100.64.0.1/n", Private),
    ("https://100.127.255.255/n", Private),
    ("https://0.0.0.0/n", Private),
    ("https://224.0.0.1/n", Private),
    ("https://255.255.255.255/n", Private),
    ("https://198.18.0.1/n", Private),
    ("https://[::1]/n", Private),
    ("https://[::]/n", Private),
    ("https://[fd00::1]/n", Private),
    ("https://[fc00::1]/n", Private),
    ("https://[fe80::1]/n", Private),
    ("https://[ff02::1]/n", Private),
    ("https://[::ffff:127.0.0.1]/n", Private),
    ("https://[::ffff:8.8.8.8]/n", Private),
    ("https://[::127.0.0.1]/n", Private),
    ("https://[2002:7f00:1::]/n", Private),
    ("https://[2001:0:1::]/n", Private),
    ("https://[64:ff9b::7f00:1]/n", Private),
    ("https://[2001:db8::1]/n", Private),
    ("https://localhost/n", Private),
    ("https://localhost./n", Private),
    ("https://a.localhost/n", Private),
    ("https://metadata.google.internal/n", Private),
    ("https://printer.local/n", Private),
    ("https://intranet/n", Private),
    ("https://0/n", OddHost),
    ("https://0177.1/n", OddHost),
    ("https://0177.0.0.1/n", OddHost),
    ("https://2130706433/n", OddHost),
    ("https://134744072/n", OddHost),
    ("https://0x7f.1/n", OddHost),
    ("https://127.1/n", OddHost),
    ("https://１２７.0.0.1/n", OddHost),
    ("https://127.0.0.1./n", OddHost),
    ("https://user@shop.example/n", Credentials),
    ("https://user:pw@shop.example/n", Credentials),
    ("https://@shop.example/n", Credentials),
    ("https://shop.example@127.0.0.1/n", Credentials),
    ("https://shop.example/n#x", Fragment),
    ("http://shop.example/n", Scheme),
    ("file:///etc/passwd", Scheme),
    ("gopher://shop.example/n", Scheme),
    ("ftp://shop.example/n", Scheme),
    ("javascript:alert(1)", Scheme),
    ("https://shop.example:22/n", Port),
    ("https://shop.example:25/n", Port),
    ("https://shop.example:80/n", Port),
    ("https://shop.example:3306/n", Port),
    ("https://shop.example:5432/n", Port),
    ("https://shop.example:6379/n", Port),
    ("https://shop.example:11211/n", Port),
    ("https://shop.example:27017/n", Port),
    ("https://shop.example:0/n", Port),
    ("https:shop.example/n", NotAUrl),
    ("https://shop.example\\@127.0.0.1/n", NotAUrl),
    ("https://shop.example/\r\nX: y", NotAUrl),
    ("/n", NotAUrl),
    ("", NotAUrl),
    ("https://", NotAUrl),
];

#[test]
fn urls_of_merchants_that_lead_inside_are_refused() {
    for (url, fault) in REFUSED {
        assert_eq!(check_webhook_url(url, false), Err(*fault), "{url}");
    }
    assert_eq!(check_webhook_url(&format!("https://a.example/{}", "x".repeat(2048)), false), Err(UrlFault::TooLong));
}

#[test]
fn ordinary_shops_are_taken() {
    let urls = [
        "https://shop.example/notify",
        "https://shop.example:443/notify?a=1&b=%7C",
        "https://shop.example:8443/notify",
        "https://shop.example:9000/notify",
        "https://8.8.8.8/notify",
        "https://[2606:4700::1111]/notify",
        "https://支付.example/notify",
        "https://[64:ff9b::808:808]/notify",
    ];
    for url in urls {
        assert_eq!(check_webhook_url(url, false), Ok(()), "{url}");
    }
}

#[test]
fn the_demo_may_use_http_and_loopback_but_no_service_port() {
    for url in ["http://127.0.0.1:9300/n", "http://localhost:3000/n", "http://[::1]:3000/n", "http://10.0.0.1/n"] {
        assert_eq!(check_webhook_url(url, true), Ok(()), "{url}");
    }
    assert_eq!(check_webhook_url("http://127.0.0.1:6379/n", true), Err(UrlFault::Port));
    assert_eq!(check_webhook_url("http://127.0.0.1:22/n", true), Err(UrlFault::Port));
    assert_eq!(check_webhook_url("http://user@127.0.0.1:3000/n", true), Err(UrlFault::Credentials));
    assert_eq!(check_webhook_url("http://2130706433:3000/n", true), Err(UrlFault::OddHost));
    assert_eq!(check_webhook_url("file:///etc/passwd", true), Err(UrlFault::Scheme));
}
