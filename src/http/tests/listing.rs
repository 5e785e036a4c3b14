//! Lists of charges: pages, filters, and nobody else's.

use super::world::{TWO, World};
use serde_json::{Value, json};

fn numbers(page: &Value) -> Vec<String> {
    page["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|charge| charge["merchant_order_no"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn charges_come_newest_first_page_by_page() {
    let world = World::start().await;
    for n in 0..5 {
        world.open(json!({ "merchant_order_no": format!("L{n}") })).await;
        world.clock.advance_ms(1000);
    }
    let mut seen = Vec::new();
    let mut target = "/v1/charges?limit=2".to_owned();
    loop {
        let page = world.get(&target).await.json();
        seen.push(numbers(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        target = format!("/v1/charges?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, [vec!["L4", "L3"], vec!["L2", "L1"], vec!["L0"]]);
    let other = world.send(world.signed_by(TWO, "GET", "/v1/charges", "")).await.json();
    assert_eq!(other, json!({ "data": [], "next_cursor": null }));
}

#[tokio::test]
async fn filters_narrow_a_list() {
    let world = World::start().await;
    let paid = world.open(json!({ "merchant_order_no": "F-paid" })).await;
    world.pay(&paid).await;
    world.clock.advance_ms(100_000);
    let open = world.open(json!({ "merchant_order_no": "F-open" })).await;
    let at = open["created_at"].as_str().unwrap();
    let rows = [
        ("merchant_order_no=F-paid".to_owned(), vec!["F-paid"]),
        ("merchant_order_no=F-none".to_owned(), vec![]),
        ("merchant_order_no=F-paid&status=open".to_owned(), vec![]),
        ("status=paid".to_owned(), vec!["F-paid"]),
        ("status=closed".to_owned(), vec![]),
        ("stage=awaiting_payment".to_owned(), vec!["F-open"]),
        (format!("created_after={at}"), vec!["F-open"]),
        (format!("created_before={at}"), vec!["F-paid"]),
        ("limit=200".to_owned(), vec!["F-open", "F-paid"]),
    ];
    for (query, expected) in rows {
        assert_eq!(numbers(&world.get(&format!("/v1/charges?{query}")).await.json()), expected, "{query}");
    }
    let bad = [
        "limit=0",
        "limit=201",
        "cursor=x",
        "status=odd",
        "stage=odd",
        "created_after=today",
        "statuz=paid",
        "limit=1&limit=2",
    ];
    for query in bad {
        let answer = world.get(&format!("/v1/charges?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "invalid_request"), "{query}");
    }
    let foreign = world.send(world.signed_by(TWO, "GET", "/v1/charges?merchant_order_no=F-paid", "")).await;
    assert_eq!(numbers(&foreign.json()), [""; 0]);
}
