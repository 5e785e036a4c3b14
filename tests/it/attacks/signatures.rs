//! Whoever is not who he says he is: one answer for all causes, and a count for each.

use super::{Answer, Call, OTHER_KEY, books, count, good_charge, nonce};
use crate::world::World;
use serde_json::Value;

/// Asserts the one 401 and its count.
async fn refused(world: &World, reason: &str, what: &str, answer: Answer, before: u64) -> Value {
    assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{what}: {}", answer.text);
    let series = format!("tongdao_auth_failures_total{{reason=\"{reason}\"}}");
    assert_eq!(count(world, &series).await, before + 1, "{what}: {series}");
    answer.problem()
}

async fn so_far(world: &World, reason: &str) -> u64 {
    count(world, &format!("tongdao_auth_failures_total{{reason=\"{reason}\"}}")).await
}

/// Runs one wrong call and answers the problem.
async fn wrong(world: &World, reason: &str, what: &str, call: &Call, headers: &[(&str, &str)]) -> Value {
    let before = so_far(world, reason).await;
    let answer = call.send_as(world, headers).await;
    refused(world, reason, what, answer, before).await
}

#[tokio::test]
async fn every_spoilt_signature_gets_the_same_401_and_does_nothing() {
    let world = World::start().await;
    let right = Call::open(&world, good_charge());
    let before = books(&world).await;
    let now: i64 = right.timestamp.parse().unwrap();
    let with = |change: &dyn Fn(&mut Call)| {
        let mut call = right.clone();
        call.nonce = nonce();
        change(&mut call);
        call
    };
    // What the header says, with a signature that is right for it.
    let rows: Vec<(&str, &str, Call)> = vec![
        ("stale", "301 s old", with(&|call| call.timestamp = (now - 310).to_string())),
        ("stale", "from the future", with(&|call| call.timestamp = (now + 310).to_string())),
        ("malformed", "the end of time", with(&|call| call.timestamp = i64::MAX.to_string())),
        ("malformed", "a negative time", with(&|call| call.timestamp = "-1".into())),
        ("malformed", "a time with a plus", with(&|call| call.timestamp = format!("+{now}"))),
        ("malformed", "a time in words", with(&|call| call.timestamp = "now".into())),
        ("malformed", "no time", with(&|call| call.timestamp = String::new())),
        ("bad_nonce", "a short nonce", with(&|call| call.nonce = "short".into())),
        ("bad_nonce", "a long nonce", with(&|call| call.nonce = "n".repeat(65))),
        ("bad_nonce", "a nonce of other characters", with(&|call| call.nonce = "0123456789abcdef/".into())),
        ("unknown_key", "a key id that nobody has", with(&|call| call.key_id = "key_nobody".into())),
        ("unknown_key", "no key id", with(&|call| call.key_id = String::new())),
        ("bad_signature", "another merchant's key id", with(&|call| call.key_id = "key_other".into())),
        ("bad_signature", "another merchant's key", with(&|call| call.key = OTHER_KEY.into())),
        ("bad_signature", "an empty key", with(&|call| call.key = Vec::new())),
    ];
    let mut problems = Vec::new();
    for (reason, what, call) in rows {
        let reason = if what == "no key id" { first_reason(&world, &call).await } else { reason.to_owned() };
        problems.push(wrong(&world, &reason, what, &call, &[("authorization", &call.authorization())]).await);
    }
    // Other headers than the right one.
    let header = right.authorization();
    let signature = header.split("signature=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let rows = [
        ("malformed", "another scheme", header.replace("TONGDAO-HMAC-SHA256", "TONGDAO-HMAC-MD5")),
        ("malformed", "WeChat Pay's scheme", header.replace("TONGDAO-HMAC-SHA256", "WECHATPAY2-SHA256-RSA2048")),
        ("malformed", "a parameter twice", format!("{header},nonce=\"{}\"", nonce())),
        ("malformed", "a parameter more", format!("{header},algorithm=\"none\"")),
        ("malformed", "no signature", header.split(",signature").next().unwrap().to_owned()),
        ("malformed", "a signature that is no base64", right.authorization_with("***")),
        ("bad_signature", "half a signature", right.authorization_with(&signature[..20])),
        ("bad_signature", "a signature of zeros", right.authorization_with(&"A".repeat(43).add("="))),
    ];
    for (reason, what, header) in rows {
        problems.push(wrong(&world, reason, what, &right, &[("authorization", &header)]).await);
    }
    let empty = right.authorization_with("");
    let reason = first_reason_of(&world, &right, &[("authorization", &empty)]).await;
    problems.push(wrong(&world, &reason, "an empty signature", &right, &[("authorization", &empty)]).await);
    problems.push(wrong(&world, "missing", "nothing", &right, &[]).await);
    let twice = [("authorization", header.as_str()), ("authorization", header.as_str())];
    problems.push(wrong(&world, "malformed", "two headers", &right, &twice).await);
    let spoofed = [("x-forwarded-for", "127.0.0.1"), ("x-real-ip", "127.0.0.1"), ("host", "localhost")];
    problems.push(wrong(&world, "missing", "a local address", &right, &spoofed).await);
    assert!(problems.windows(2).all(|two| two[0] == two[1]), "the causes can be told apart: {problems:?}");
    assert_eq!(books(&world).await, before, "something happened");
    // The very call, unspoilt and with its first nonce.
    assert_eq!(right.send(&world).await.status, 201);
}

use std::ops::Add as _;

/// Which reason a call is counted under, where two are right.
async fn first_reason(world: &World, call: &Call) -> String {
    first_reason_of(world, call, &[("authorization", &call.authorization())]).await
}

async fn first_reason_of(world: &World, call: &Call, headers: &[(&str, &str)]) -> String {
    let reasons = ["malformed", "unknown_key", "bad_signature"];
    let before = [so_far(world, reasons[0]).await, so_far(world, reasons[1]).await, so_far(world, reasons[2]).await];
    assert_eq!(call.send_as(world, headers).await.status, 401);
    for (reason, before) in reasons.iter().zip(before) {
        if so_far(world, reason).await == before + 1 {
            return (*reason).to_owned();
        }
    }
    panic!("it was not counted");
}

#[tokio::test]
async fn what_is_changed_after_the_signing_is_refused() {
    let world = World::start().await;
    let charge = world.open(serde_json::json!({})).await;
    let path = format!("/v1/charges/{}/close", charge["id"].as_str().unwrap());
    let before = books(&world).await;
    let signed = Call::open(&world, good_charge());
    let rows: Vec<(&str, Call)> = vec![
        ("the amount", Call { body: replaced(&signed.body, "1999", "1"), ..signed.clone() }),
        ("a space more", Call { body: replaced(&signed.body, ",", ", "), ..signed.clone() }),
        ("no body", Call { body: Vec::new(), ..signed.clone() }),
        ("a line feed behind", Call { body: [&signed.body[..], b"\n"].concat(), ..signed.clone() }),
        ("another path", Call { target: path.clone(), ..signed.clone() }),
        ("a query", Call { target: "/v1/charges?a=1".into(), ..signed.clone() }),
        ("an empty query", Call { target: "/v1/charges?".into(), ..signed.clone() }),
        ("a slash behind", Call { target: "/v1/charges/batch".into(), ..signed.clone() }),
        ("another method", Call { method: "GET", ..signed.clone() }),
    ];
    for (what, call) in rows {
        // Signed as it was, sent as it is.
        let header = signed.authorization();
        let answer = call.send_as(&world, &[("authorization", &header)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthenticated"), "{what}: {}", answer.text);
    }
    let listed = Call::new(&world, "GET", "/v1/charges?limit=1&status=open", "");
    for target in ["/v1/charges?limit=200&status=open", "/v1/charges?status=open&limit=1", "/v1/charges"] {
        let call = Call { target: target.into(), ..listed.clone() };
        let header = listed.authorization();
        assert_eq!(call.send_as(&world, &[("authorization", &header)]).await.status, 401, "{target}");
    }
    assert_eq!(books(&world).await, before);
    assert_eq!(signed.send(&world).await.status, 201);
    assert_eq!(listed.send(&world).await.status, 200);
}

fn replaced(body: &[u8], old: &str, new: &str) -> Vec<u8> {
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains(old));
    text.replacen(old, new, 1).into_bytes()
}

#[tokio::test]
async fn a_nonce_counts_once_also_after_a_restart() {
    let mut world = World::start().await;
    let post = Call::open(&world, good_charge());
    let get = Call::new(&world, "GET", "/v1/charges?limit=1", "");
    assert_eq!((post.send(&world).await.status, get.send(&world).await.status), (201, 200));
    for round in ["at once", "after a restart"] {
        for call in [&post, &get] {
            let header = call.authorization();
            wrong(&world, "nonce_seen", round, call, &[("authorization", &header)]).await;
            // The same nonce under another body and time is the same nonce.
            let again = Call { target: "/v1/charges?limit=2".into(), method: "GET", body: Vec::new(), ..call.clone() };
            let header = again.authorization();
            wrong(&world, "nonce_seen", round, &again, &[("authorization", &header)]).await;
            // Another key may use it, and a new one is taken.
            let other = Call { key_id: "key_other".into(), key: OTHER_KEY.into(), ..again.clone() };
            assert_eq!(other.send(&world).await.status, if round == "at once" { 200 } else { 401 }, "{round}");
            assert_eq!(Call { nonce: nonce(), ..again }.send(&world).await.status, 200);
        }
        if round == "at once" {
            world.restart().await;
        }
    }
}
