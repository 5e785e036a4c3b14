//! Two accounts at one provider, and the change from one to the other: what was begun on an account ends on it.

use crate::world::{Wishes, World};
use serde_json::{Value, json};
use tongdao::reload::ReloadRefused;
use tongdao_sandbox::{Fault, FaultKind, Operation, ProviderName};

const SECOND: &str = r#"
[[channels]]
id = "wechat-new"
provider = "wechatpay"
scenes = ["qr"]
fee_bps = 80
  [channels.wechatpay]
  base_url = "http://@wechatpay@"
  app_id = "wx5a2d0c4e1f8b7a64"
  mch_id = "1900000002"
  merchant_serial = { text_file = "@keys@/wechatpay/1900000002/merchant_serial" }
  merchant_private_key = { file = "@keys@/wechatpay/1900000002/merchant_key.pem" }
  api_v3_key = { file = "@keys@/wechatpay/1900000002/api_v3_key" }
  platform_certificates = [{ file = "@keys@/wechatpay/1900000002/platform_cert.pem" }]
"#;
const FIRST: &str = "id = \"wechat-main\"\nprovider = \"wechatpay\"\n";

async fn two_accounts() -> World {
    World::with(Wishes { more: SECOND, second_wechat: true, ..Wishes::default() }).await
}

/// A charge of a payer who has WeChat Pay and nothing else.
async fn open(world: &World) -> Value {
    world.open(json!({ "payer": { "methods": ["wechatpay"] } })).await
}

fn on(charge: &Value) -> &str {
    charge["attempt"]["channel"].as_str().unwrap()
}

fn completed(charge: &Value) -> bool {
    charge["stage"] == "completed"
}

#[tokio::test]
async fn attempts_end_on_the_account_they_were_made_on_after_it_was_switched_off() {
    let world = two_accounts().await;
    let (called, asked) = (open(&world).await, open(&world).await);
    assert_eq!((on(&called), on(&asked)), ("wechat-main", "wechat-main"));
    world.reload(FIRST, &format!("{FIRST}enabled = false\n")).await.unwrap();
    let new = open(&world).await;
    assert_eq!(on(&new), "wechat-new");
    assert_eq!(new["attempt"]["route"]["candidates"][0]["excluded"], "disabled");

    // The old account's callbacks are verified with its keys, its orders asked about with its keys.
    world.pay(&called);
    world.until(called["id"].as_str().unwrap(), "completed by a callback", completed).await;
    world.fault(ProviderName::Wechatpay, Operation::Callback, Fault { lost_ratio: 1.0, ..Fault::default() });
    world.pay(&asked);
    let asked = world.advance_until(asked["id"].as_str().unwrap(), 5, "completed by a query", completed).await;
    assert_eq!(on(&asked), "wechat-main");
    world.sandbox.clear_faults();
    world.pay(&new);
    world.until(new["id"].as_str().unwrap(), "completed on the new account", completed).await;

    let refund = json!({ "refund_no": "R1", "amount": 1999 });
    let path = format!("/v1/charges/{}/refunds", called["id"].as_str().unwrap());
    assert_eq!(world.post_in_turn(&path, refund).await.0, 201);
    let refunded = |charge: &Value| charge["status"] == "refunded";
    world.advance_until(called["id"].as_str().unwrap(), 10, "refunded from the old account", refunded).await;
}

#[tokio::test]
async fn a_force_of_the_new_account_takes_new_charges_and_leaves_the_old_ones_alone() {
    let world = two_accounts().await;
    let old = open(&world).await;
    let order = json!({ "action": "force", "target": "wechat-new", "for": "15m", "reason": "rotation", "actor": "li" });
    world.admin_post("/admin/v1/overrides", &order).await;
    let new = open(&world).await;
    assert_eq!((on(&old), on(&new)), ("wechat-main", "wechat-new"));
    assert_eq!(new["attempt"]["route"]["chosen_because"], "forced");
    for charge in [&old, &new] {
        world.pay(charge);
        world.until(charge["id"].as_str().unwrap(), "completed", completed).await;
    }
}

#[tokio::test]
async fn a_forced_provider_gets_the_better_of_its_accounts_and_the_other_one_fails_over() {
    let world = two_accounts().await;
    let order = json!({ "action": "force", "target": "wechatpay", "for": "15m", "reason": "fees", "actor": "li" });
    world.admin_post("/admin/v1/overrides", &order).await;
    let any = world.open(json!({})).await;
    assert_eq!((on(&any), &any["attempt"]["route"]["chosen_because"]), ("wechat-main", &json!("forced")), "{any:#}");
    world.sandbox.set_fault(tongdao_sandbox::FaultSetting {
        scope: tongdao_sandbox::FaultScope {
            provider: ProviderName::Wechatpay,
            account: Some("1900000001".into()),
            operation: Some(Operation::Create),
        },
        fault: Fault::kind(FaultKind::ServerError),
    });
    let any = world.open(json!({})).await;
    let route = &any["attempt"]["route"];
    assert_eq!((on(&any), &route["chosen_because"]), ("wechat-new", &json!("failover")), "{any:#}");
}

#[tokio::test]
async fn an_account_never_changes_and_no_channel_goes_while_it_has_business() {
    let world = two_accounts().await;
    let charge = open(&world).await;
    let changed = world.reload("mch_id = \"1900000001\"", "mch_id = \"1900000009\"").await;
    assert!(
        matches!(&changed, Err(ReloadRefused::Faults(faults)) if faults.to_string().contains("account never changes"))
    );
    let shared = world.reload("mch_id = \"1900000002\"", "mch_id = \"1900000001\"").await;
    assert!(matches!(&shared, Err(ReloadRefused::Faults(_))), "two channels may not share an account");

    let whole = world.channel_text("wechat-main", "alipay-main");
    let business = |refused: Result<_, ReloadRefused>| match refused {
        Err(ReloadRefused::StillInUse(business)) => (business[0].open_attempts, business[0].refundable_payments),
        other => panic!("{other:?}"),
    };
    assert_eq!(business(world.reload(&whole, "").await), (1, 0), "a payer may still pay it");
    world.pay(&charge);
    world.until(charge["id"].as_str().unwrap(), "completed", completed).await;
    assert_eq!(business(world.reload(&whole, "").await), (0, 1), "the payment may still be refunded");
    assert_eq!(on(&open(&world).await), "wechat-main", "a refused file changes nothing");
    let idle = world.channel_text("unionpay-main", "wechat-new");
    assert_eq!(world.reload(&idle, "").await.unwrap().removed, ["unionpay-main".parse().unwrap()]);
}
