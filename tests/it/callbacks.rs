//! What the providers tell us, what they do not, and what they tell wrongly.

use crate::world::{World, code_of};
use serde_json::json;
use tongdao_sandbox::{Fault, Operation, ProviderName, ScanRequest};

const CHANNELS: [(&str, ProviderName); 3] = [
    ("wechat-main", ProviderName::Wechatpay),
    ("alipay-main", ProviderName::Alipay),
    ("unionpay-main", ProviderName::Unionpay),
];

#[tokio::test]
async fn a_lost_callback_is_found_by_asking() {
    let world = World::start().await;
    world.lose_callbacks();
    for (channel, _) in CHANNELS {
        let charge = world.open(json!({ "channel": channel })).await;
        world.pay(&charge);
        let id = charge["id"].as_str().unwrap().to_owned();
        let paid = |charge: &serde_json::Value| charge["stage"] == "completed";
        world.advance_until(&id, 5, "found", paid).await;
    }
    assert_eq!(world.provider_net(), 3 * 1999);
}

#[tokio::test]
async fn a_callback_that_comes_twice_delivers_once() {
    let world = World::start().await;
    for (channel, provider) in CHANNELS {
        world.fault(provider, Operation::Callback, Fault { doubled: true, ..Fault::default() });
        let charge = world.open(json!({ "channel": channel })).await;
        world.pay(&charge);
        let id = charge["id"].as_str().unwrap().to_owned();
        world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(world.merchant.of("charge.paid").len(), 3);
}

#[tokio::test]
async fn a_callback_with_another_amount_is_a_break_and_never_paid() {
    let world = World::start().await;
    world.lose_callbacks();
    for (channel, _) in CHANNELS {
        let charge = world.open(json!({ "channel": channel })).await;
        let mut scan = ScanRequest::code(code_of(&charge["attempt"]));
        scan.amount = Some(1);
        world.sandbox.scan(&scan).unwrap();
        let id = charge["id"].as_str().unwrap().to_owned();
        let seen = world.advance_until(&id, 5, "at attention", |charge| charge["stage"] == "attention").await;
        assert_eq!(seen["status"], "open", "{channel}");
        let (status, problem) = world.post(&format!("/v1/charges/{id}/attempts"), json!({})).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("invalid_state")), "{channel}: {problem}");
    }
    assert!(world.merchant.of("charge.paid").is_empty());
}

#[tokio::test]
async fn forged_and_foreign_callbacks_change_nothing_and_all_get_the_same_answer() {
    let world = World::start().await;
    let base = format!("http://{}", world.daemon.as_ref().unwrap().public_addr);
    let client = reqwest::Client::builder().build().unwrap();
    for (channel, _) in CHANNELS {
        let charge = world.open(json!({ "channel": channel })).await;
        let no = charge["attempt"]["provider_order_no"].as_str().unwrap();
        let forged = [
            String::new(),
            format!("out_trade_no={no}&trade_status=TRADE_SUCCESS&total_amount=19.99&sign=AAAA&sign_type=RSA2"),
            format!("orderId={no}&respCode=00&txnAmt=1999&signature=AAAA&signMethod=01"),
            format!(r#"{{"id":"1","event_type":"TRANSACTION.SUCCESS","resource":{{"out_trade_no":"{no}"}}}}"#),
        ];
        let mut answers = Vec::new();
        for body in forged {
            let reply = client.post(format!("{base}/callbacks/{channel}")).body(body).send().await.unwrap();
            answers.push((reply.status(), reply.text().await.unwrap()));
        }
        assert!(answers.windows(2).all(|two| two[0] == two[1]), "{channel}: {answers:?}");
        let id = charge["id"].as_str().unwrap();
        assert_eq!(world.charge(id).await["status"], "open", "{channel}");
    }
}

#[tokio::test]
async fn a_stale_callback_is_refused_and_starts_one_question() {
    let world = World::start().await;
    world.fault(ProviderName::Wechatpay, Operation::Callback, Fault { stale: true, ..Fault::default() });
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    world.pay(&charge);
    let id = charge["id"].as_str().unwrap();
    world.until(id, "found by the question", |charge| charge["stage"] == "completed").await;
}

#[tokio::test]
async fn a_payment_after_the_close_counts_and_is_late() {
    let world = World::start().await;
    let charge = world.open(json!({ "channel": "wechat-main" })).await;
    let id = charge["id"].as_str().unwrap().to_owned();
    let (status, _) = world.post_in_turn(&format!("/v1/charges/{id}/close"), json!({})).await;
    assert_eq!(status, 200);
    let mut scan = ScanRequest::code(code_of(&charge["attempt"]));
    scan.late = true;
    world.sandbox.scan(&scan).unwrap();
    let paid = world.until(&id, "completed", |charge| charge["stage"] == "completed").await;
    assert_eq!((paid["status"].as_str(), paid["late"].as_bool()), (Some("paid"), Some(true)));
}
