//! The control server as people and tests use it.
//! Each test drives the running server with an HTTP client, as a browser or a script would.
//! Must not know: the Rust handle's own calls, beyond starting the sandbox.

use serde_json::{Value, json};

use crate::wechatpay::tests::merchant::Merchant;

/// A person at the control server.
struct Person<'a> {
    merchant: &'a Merchant,
    base: String,
}

impl<'a> Person<'a> {
    fn of(merchant: &'a Merchant) -> Self {
        Self { merchant, base: format!("http://{}", merchant.sandbox.addresses().control) }
    }

    async fn post(&self, path: &str, body: Value) -> (u16, String) {
        let request =
            self.merchant.client.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let response = request.body(body.to_string()).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    async fn read(&self, path: &str) -> String {
        self.merchant.client.get(format!("{}{path}", self.base)).send().await.unwrap().text().await.unwrap()
    }

    async fn clear_faults(&self) {
        let request = self.merchant.client.delete(format!("{}/faults", self.base));
        assert_eq!(request.send().await.unwrap().status(), 204);
    }
}

#[tokio::test]
async fn the_page_shows_open_codes_and_escapes_what_merchants_write() {
    let merchant = Merchant::start().await;
    let mut order = merchant.order("control-01");
    order["description"] = json!("<script>alert(1)</script>");
    assert_eq!(merchant.create("native", &order).await.status, 200);
    let page = Person::of(&merchant).read("/").await;
    assert!(page.contains("control-01") && page.contains("Scan and pay") && page.contains("¥1.00"));
    assert!(!page.contains("<script>alert(1)"));
}

#[tokio::test]
async fn a_code_is_scanned_and_the_ledger_shows_it() {
    let merchant = Merchant::start().await;
    let person = Person::of(&merchant);
    let code = merchant.native("control-01").await;
    let (status, paid) = person.post("/scan", json!({"code": code})).await;
    assert_eq!(status, 200);
    assert!(paid.contains("\"paid\":true"), "{paid}");
    merchant.next_callback().await;
    let resend = json!({"provider": "wechatpay", "order_no": "control-01"});
    assert_eq!(person.post("/callbacks/resend", resend).await.0, 202);
    merchant.next_callback().await;
    let unknown = json!({"provider": "wechatpay", "order_no": "control-02"});
    assert_eq!(person.post("/callbacks/resend", unknown).await.0, 404);
    let ledger: Value = serde_json::from_str(&person.read("/ledger").await).unwrap();
    assert_eq!((&ledger["payments"][0]["amount"], &ledger["orders"][0]["state"]), (&json!(100), &json!("paid")));
    assert!(person.read("/accounts").await.contains("1900000001"));
}

#[tokio::test]
async fn faults_and_habits_are_set_read_and_cleared() {
    let merchant = Merchant::start().await;
    let person = Person::of(&merchant);
    let code = merchant.native("control-01").await;
    let silent = json!({"provider": "wechatpay", "fault": {"silent": true}});
    assert_eq!(person.post("/faults", silent).await.0, 204);
    assert!(person.read("/faults").await.contains("\"silent\":true"));
    let refused = json!({"paid": false, "reason": "silent"}).to_string();
    assert_eq!(person.post("/scan", json!({"code": code})).await, (409, refused));
    person.clear_faults().await;
    assert_eq!(person.read("/faults").await, "[]");
    let unknown = json!({"provider": "wechatpay", "fault": {"loud": true}});
    assert_eq!(person.post("/faults", unknown).await.0, 422);
    assert_eq!(person.post("/payers", json!({"pay_ratio": 0.5})).await.0, 204);
    assert!(person.read("/payers").await.contains("0.5"));
}

#[tokio::test]
async fn statements_are_made_ready_at_once_and_what_was_planted_is_told() {
    let merchant = Merchant::start().await;
    let person = Person::of(&merchant);
    assert_eq!(person.read("/statements").await, r#"{"ready_at_once":false,"planted":[]}"#);
    assert_eq!(person.post("/statements", json!({"ready_at_once": true})).await.0, 204);
    merchant.native("control-01").await;
    merchant.sandbox.scan(&crate::ScanRequest::code("control-01")).unwrap();
    let fault = json!({"provider": "wechatpay", "operation": "statement", "fault": {"statement": {"wrong_fee": 1}}});
    assert_eq!(person.post("/faults", fault).await.0, 204);
    let ask = crate::wechatpay::tests::merchant::Call::get("/v3/bill/tradebill?bill_date=2026-01-01");
    assert_eq!(merchant.send(&ask).await.status, 200);
    let told: Value = serde_json::from_str(&person.read("/statements").await).unwrap();
    assert_eq!((&told["ready_at_once"], &told["planted"][0]["kind"]), (&json!(true), &json!("wrong_fee")));
    assert_eq!(
        (&told["planted"][0]["order_no"], &told["planted"][0]["day"]),
        (&json!("control-01"), &json!("2026-01-01"))
    );
}
