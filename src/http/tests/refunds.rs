//! Money back on the merchant's order.

use super::world::{TWO, World};
use serde_json::{Value, json};

#[tokio::test]
async fn a_refund_is_ordered_once_per_number_and_never_passes_the_payment() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    let id = charge["id"].as_str().unwrap();
    let path = format!("/v1/charges/{id}/refunds");
    let ask = |no: &str, amount: i64| json!({ "refund_no": no, "amount": amount });
    let unpaid = world.post(&path, &ask("R1", 100)).await;
    assert_eq!((unpaid.status, unpaid.code().as_str()), (409, "invalid_state"));
    world.pay(&charge).await;

    let first = world.post(&path, &ask("R1", 1000)).await;
    assert_eq!(first.status, 201, "{first:?}");
    let refund = first.json();
    assert_eq!(
        (&refund["object"], &refund["charge"], &refund["refund_no"]),
        (&json!("refund"), &json!(id), &json!("R1"))
    );
    assert_eq!((&refund["amount"], &refund["status"]), (&json!(1000), &json!("pending")));
    assert_eq!(refund["provider_refund_no"].as_str().unwrap().len(), 32);
    let again = world.post(&path, &ask("R1", 1000)).await;
    assert_eq!((again.status, again.header("idempotent-replayed"), &again.json()["id"]), (200, "true", &refund["id"]));
    let other = world.post(&path, &ask("R1", 999)).await;
    assert_eq!((other.status, other.code().as_str()), (409, "idempotency_conflict"));
    let more = world.post(&path, &ask("R2", 1000)).await;
    assert_eq!((more.status, more.code().as_str()), (422, "amount_exceeds_refundable"));
    assert_eq!(world.post(&path, &ask("R3", 999)).await.status, 201);

    let shown = world.get(&format!("/v1/refunds/{}", refund["id"].as_str().unwrap())).await;
    assert_eq!((shown.status, &shown.json()["id"]), (200, &refund["id"]));
    let page = world.get(&format!("/v1/refunds?charge={id}&limit=1")).await.json();
    assert_eq!(page["data"][0]["id"], refund["id"]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = world.get(&format!("/v1/refunds?charge={id}&limit=1&cursor={cursor}")).await.json();
    assert_eq!((&rest["data"][0]["refund_no"], &rest["next_cursor"]), (&json!("R3"), &Value::Null));
    assert_eq!(world.get("/v1/refunds").await.status, 422);

    let target = format!("/v1/refunds/{}", refund["id"].as_str().unwrap());
    let foreign = world.send(world.signed_by(TWO, "GET", &target, "")).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (404, "not_found"));
    let foreign = world.send(world.signed_by(TWO, "GET", &format!("/v1/refunds?charge={id}"), "")).await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn of_two_refunds_at_once_that_are_too_much_together_one_wins() {
    let world = World::start().await;
    let charge = world.open(Value::Null).await;
    world.pay(&charge).await;
    let path = format!("/v1/charges/{}/refunds", charge["id"].as_str().unwrap());
    let ask = |no: &str| json!({ "refund_no": no, "amount": 1200 });
    let (one, other) = (ask("A"), ask("B"));
    let (one, other) = tokio::join!(world.post(&path, &one), world.post(&path, &other));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
}
