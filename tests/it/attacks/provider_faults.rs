//! What the sandbox itself sends wrongly, letters at the wrong door, and payments of another amount or number.

use super::forging::Forger;
use super::{breaks, count};
use crate::world::{World, code_of};
use serde_json::{Value, json};
use tongdao_sandbox::{Fault, FaultKind, FaultScope, Operation, ProviderName, ScanRequest};

const CHANNELS: [(&str, ProviderName); 3] = [
    ("wechat-main", ProviderName::Wechatpay),
    ("alipay-main", ProviderName::Alipay),
    ("unionpay-main", ProviderName::Unionpay),
];

/// Waits until a verdict was counted.
async fn counted_once(world: &World, channel: &str, verdict: &str) {
    let series = format!("tongdao_callbacks_total{{channel=\"{channel}\",verdict=\"{verdict}\"}}");
    for _ in 0..190 {
        if count(world, &series).await > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never counted: {series}");
}

fn faults(provider: ProviderName) -> Vec<(Fault, &'static str)> {
    let mut faults = vec![
        (Fault { wrong_account: true, ..Fault::default() }, "foreign"),
        (Fault { wrong_key: true, ..Fault::default() }, "bad_signature"),
        (Fault { bad_signature: true, ..Fault::default() }, "bad_signature"),
    ];
    if provider == ProviderName::Wechatpay {
        faults.push((Fault { unknown_serial: true, ..Fault::default() }, "unknown_key"));
    }
    faults
}

#[tokio::test]
async fn what_the_provider_itself_sends_wrongly_is_refused_and_its_repeat_is_taken() {
    for (channel, provider) in CHANNELS {
        for (fault, verdict) in faults(provider) {
            let world = World::start().await;
            world.fault(provider, Operation::Query, Fault::kind(FaultKind::ServerError));
            world.fault(provider, Operation::Callback, fault.clone());
            let charge = world.open(json!({ "channel": channel })).await;
            world.pay(&charge);
            let id = charge["id"].as_str().unwrap();
            counted_once(&world, channel, verdict).await;
            if !fault.bad_signature {
                // A probe is followed by the genuine one at once; the others stay wrong until the fault ends.
                let seen = world.charge(id).await;
                assert_eq!(
                    (&seen["status"], &seen["stage"]),
                    (&json!("open"), &json!("awaiting_payment")),
                    "{channel}"
                );
                assert!(world.merchant.arrived().is_empty(), "{channel} {verdict}");
            }
            let scope = FaultScope { provider, account: None, operation: Some(Operation::Callback) };
            world.sandbox.remove_fault(&scope);
            let no = charge["attempt"]["provider_order_no"].as_str().unwrap();
            let order = world.sandbox.callbacks().into_iter().find(|sent| sent.number == no).unwrap();
            assert!(world.sandbox.resend_callback(provider, &order.account, no));
            world.until(id, "completed", |charge| charge["stage"] == "completed").await;
        }
    }
}

#[tokio::test]
async fn a_letter_at_another_providers_door_is_refused_in_that_ones_words() {
    for (channel, provider) in CHANNELS {
        let forger = Forger::start(channel, provider).await;
        let (charge, letter) = forger.paid().await;
        let before = forger.state().await;
        for (door, _) in CHANNELS.into_iter().filter(|(door, _)| *door != channel) {
            let mut astray = letter.clone();
            astray.channel = door.to_owned();
            let answer = forger.post(&astray).await;
            let wanted = match door {
                "wechat-main" => (401, r#"{"code":"FAIL","message":"失败"}"#),
                "alipay-main" => (200, "failure"),
                _ => (400, "refused"),
            };
            assert_eq!((answer.status, answer.text.as_str()), wanted, "{channel} at {door}");
            let series = format!("tongdao_callbacks_total{{channel=\"{door}\"");
            assert_eq!(count(&forger.world, &series).await, 1, "{channel} at {door}");
        }
        let mut astray = letter.clone();
        for door in ["nobody", "m_test", "wechatpay"] {
            astray.channel = door.to_owned();
            assert_eq!(forger.post(&astray).await.status, 404, "{door}");
        }
        assert_eq!(forger.state().await, before, "{channel}");
        forger.takes(&charge, &letter).await;
    }
}

#[tokio::test]
async fn a_genuine_payment_of_another_amount_is_a_break_and_pays_nothing() {
    for (channel, provider) in CHANNELS {
        let forger = Forger::start(channel, provider).await;
        let charge = forger.world.open(json!({ "channel": channel, "amount": 10000 })).await;
        let mut scan = ScanRequest::code(code_of(&charge["attempt"]));
        scan.amount = Some(1);
        forger.world.sandbox.scan(&scan).unwrap();
        let letter = forger.next_letter().await;
        for _ in 0..2 {
            let answer = forger.post(&letter).await;
            assert!([200, 204].contains(&answer.status), "{channel}: it is genuine: {}", answer.status);
        }
        let id = charge["id"].as_str().unwrap();
        let seen = forger.world.charge(id).await;
        assert_eq!((&seen["status"], &seen["stage"]), (&json!("open"), &json!("attention")), "{channel}");
        assert!(forger.world.merchant.of("charge.paid").is_empty(), "{channel}");
        let breaks = breaks(&forger.world).await;
        assert_eq!(breaks.as_array().map(Vec::len), Some(1), "{channel}: one a payment: {breaks}");
        assert_eq!((&breaks[0]["amount"], &breaks[0]["charge"]), (&Value::from(1), &charge["id"]), "{channel}");
        // The right amount, of another charge, is still taken.
        let (charge, letter) = forger.paid().await;
        forger.takes(&charge, &letter).await;
    }
}
