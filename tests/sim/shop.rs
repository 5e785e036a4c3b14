//! A merchant hears a webhook: it believes its own signature only, hands over once, and answers as it pleases.

use crate::config::{SECRETS, secret_of};
use crate::faults::Fault;
use crate::order::SHOPS;
use crate::world::{Event, Heard, Inner};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tongdao::ports::{WebhookAnswer, WebhookCall, WebhookError};
use tongdao_core::ids::ChargeId;

fn header<'a>(call: &'a WebhookCall, name: &str) -> &'a str {
    call.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
}

fn is_signed(call: &WebhookCall, shop: usize) -> bool {
    let signed = header(call, "webhook-signature");
    (0..SECRETS).any(|version| {
        let secret = STANDARD.decode(secret_of(shop, version)).expect("a secret");
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret).expect("a key");
        mac.update(format!("{}.{}.", header(call, "webhook-id"), header(call, "webhook-timestamp")).as_bytes());
        mac.update(&call.body);
        let wanted = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        signed.split(' ').any(|one| one == wanted)
    })
}

fn answer(status: u16, body: &str) -> Result<WebhookAnswer, WebhookError> {
    Ok(WebhookAnswer { status, content_type: None, location: None, body: body.as_bytes().to_vec() })
}

impl Inner {
    /// A webhook leaves for its merchant.
    pub(crate) fn webhook_leaves(&mut self, call: &WebhookCall) -> Heard {
        let slot = Heard::new();
        self.check_webhook_may_leave(call);
        let share = self.plan.merchant;
        let out = self.dice.between(5, 100);
        let down = self.plan.long && self.healed_at.is_none() && self.now > 600_000 && call.url.contains(SHOPS[1]);
        if down {
            self.fired(Fault::MerchantDown);
            self.after(out, Event::Heard(slot.clone(), Err(WebhookError::Connect("down".to_owned()))));
            return slot;
        }
        let mode = [
            (share / 4, Fault::Merchant500),
            (share / 8, Fault::MerchantTimeout),
            (share / 8, Fault::WrongBody),
            (share / 8, Fault::AckLost),
            (share / 8, Fault::Redirect),
            (share / 8, Fault::Slow),
            (share / 8, Fault::WebhookTwice),
        ]
        .into_iter()
        .find(|(share, fault)| self.strikes(*share, *fault))
        .map(|(_, fault)| fault);
        let back = self.dice.between(5, 100);
        let copy = call.clone();
        self.after(out, Event::AtShop { call: copy, mode, reply: Some((slot.clone(), back)) });
        if mode == Some(Fault::WebhookTwice) {
            self.after(out + 700, Event::AtShop { call: call.clone(), mode: None, reply: None });
        }
        slot
    }

    pub(crate) fn at_shop(&mut self, call: &WebhookCall, mode: Option<Fault>, reply: Option<(Heard, i64)>) {
        let shop = SHOPS.iter().position(|name| call.url.contains(&format!("//{name}."))).unwrap_or_default();
        let body: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let paid = body["type"] == "charge.paid";
        if !is_signed(call, shop) {
            self.fail("S17", format!("{} got a webhook that is not signed for it", SHOPS[shop]));
            return;
        }
        let id = body["data"]["id"].as_str().unwrap_or_default().to_owned();
        self.note(&[shop as u64, call.body.len() as u64], || {
            format!("{}: {} {id} {mode:?}", SHOPS[shop], body["type"])
        });
        let silent = matches!(mode, Some(Fault::MerchantTimeout | Fault::Slow | Fault::AckLost));
        let said = match mode {
            Some(Fault::Merchant500) => answer(500, "oops"),
            Some(Fault::Redirect) => answer(302, ""),
            Some(Fault::MerchantTimeout) if self.dice.per_mille(500) => answer(200, ""),
            Some(_) | None if paid => self.hand_over(&id, shop, header(call, "webhook-id"), mode),
            Some(_) | None => answer(200, "ok"),
        };
        let Some((slot, ms)) = reply else { return };
        if silent {
            let at = i64::try_from(call.deadline.as_millis()).unwrap_or(10_000);
            self.after(at, Event::Heard(slot, Err(WebhookError::Timeout)));
        } else {
            self.after(ms, Event::Heard(slot, said));
        }
    }

    fn hand_over(
        &mut self,
        id: &str,
        shop: usize,
        event: &str,
        mode: Option<Fault>,
    ) -> Result<WebhookAnswer, WebhookError> {
        let charge = id.parse::<ChargeId>().ok().and_then(|id| self.of_charge.get(&id).copied());
        let Some(order) = charge else { return answer(404, "") };
        if self.orders[order].shop != shop {
            self.fail("S17", format!("{} was told of {}'s charge", SHOPS[shop], SHOPS[self.orders[order].shop]));
        }
        self.orders[order].webhook_ids.insert(event.to_owned());
        if self.orders[order].webhook_ids.len() > 1 {
            self.fail("webhook id", format!("charge.paid of {id} came under two numbers"));
        }
        // What a shop does with an order is its own and does not change: by its number.
        let kind = order % 20;
        if kind == 7 && self.orders[order].shipped == 0 {
            return answer(409, r#"{"status":"undeliverable","detail":"sold out"}"#);
        }
        if kind == 8 && !self.orders[order].reports {
            self.orders[order].reports = true;
            let ms = self.dice.between(1000, 200_000);
            self.after(ms, Event::Report { order, tries: 0 });
            return answer(202, "");
        }
        if kind == 8 {
            return answer(200, r#"{"status":"accepted"}"#);
        }
        if self.orders[order].shipped == 0 {
            self.ship(order);
        }
        if mode == Some(Fault::WrongBody) {
            answer(200, "<html>thanks</html>")
        } else {
            answer(200, r#"{"status":"delivered"}"#)
        }
    }

    pub(crate) fn ship(&mut self, order: usize) {
        self.orders[order].shipped += 1;
        self.check_shipped(order);
    }
}
