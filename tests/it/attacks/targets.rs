//! Where a webhook may not go when the configuration allows only the open internet.

use super::{Call, books};
use crate::world::{Wishes, World};
use serde_json::json;

async fn strict_world() -> World {
    let instead = vec![
        ("allow_private_webhook_targets = true", "allow_private_webhook_targets = false".to_owned()),
        ("http://@shop@/notify", "https://shop.example/notify".to_owned()),
        ("http://@shop@/other", "https://shop.example/other".to_owned()),
    ];
    World::with(Wishes { instead, ..Wishes::default() }).await
}

const REFUSED: &[&str] = &[
    "http://shop.example/notify",
    "https://127.0.0.1/",
    "https://127.0.0.1:8443/",
    "https://127.1/",
    "https://0177.1/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://0x7f000001/",
    "https://2130706433/",
    "https://017700000001/",
    "https://0/",
    "https://0.0.0.0/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://①②⑦.0.0.1/",
    "https://169.254.169.254/latest/meta-data/",
    "https://2852039166/",
    "https://0xa9fea9fe/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",
    "https://198.18.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[fd00::1]/",
    "https://[fe80::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:a9fe:a9fe]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b:1::a00:1]/",
    "https://[2002:7f00:1::]/",
    "https://[2001:0:7f00:1::]/",
    "https://[2001:db8::1]/",
    "https://localhost/",
    "https://LOCALHOST/",
    "https://localhost./",
    "https://a.localhost/",
    "https://metadata/",
    "https://metadata.google.internal/",
    "https://db.local/",
    "https://user@shop.example/",
    "https://user:pass@shop.example/",
    "https://shop.example@127.0.0.1/",
    "https://shop.example:22/",
    "https://shop.example:25/",
    "https://shop.example:6379/",
    "https://shop.example:80/",
    "https://shop.example:5432/",
    "https://shop.example\\@127.0.0.1/",
    "https://shop.example/ a",
    "https://shop.example/\n127.0.0.1",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "ftp://shop.example/",
    "javascript:alert(1)",
    "//shop.example/",
    "shop.example",
    "https://",
    "",
];

#[tokio::test]
async fn a_webhook_goes_to_no_private_address_in_whatever_spelling() {
    let world = strict_world().await;
    let before = books(&world).await;
    for (n, url) in REFUSED.iter().enumerate() {
        for field in ["notify_url", "return_url"] {
            let body = json!({ "merchant_order_no": format!("W{n}"), "amount": 1, "subject": "a", field: url });
            let answer = Call::open(&world, body.to_string()).send(&world).await;
            assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_request"), "{field} {url}");
            let faults = answer.problem()["errors"].clone();
            assert_eq!(faults[0]["pointer"], format!("/{field}"), "{url}: {faults}");
        }
    }
    assert_eq!(books(&world).await, before);
    for (n, url) in
        ["https://shop.example/n", "https://shop.example:8443/n?a=1", "https://[2606:4700::1111]/"].iter().enumerate()
    {
        let body = json!({ "merchant_order_no": format!("G{n}"), "amount": 1, "subject": "a", "notify_url": url });
        let answer = Call::open(&world, body.to_string()).send(&world).await;
        assert_eq!(answer.status, 201, "{url}: {}", answer.text);
    }
}
