"""A merchant's receiver on the PyPI package `standardwebhooks`: it verifies the daemon's webhook with the newer of the
merchant's two secrets and refuses a changed one. The sandbox pays the charge that the webhook tells of."""

import json
import os
import secrets

from standardwebhooks import Webhook

import checks
from checks import call, check, control, refused

verifier = Webhook(os.environ["WEBHOOK_SECRET"])
port, arrived = checks.serve(lambda path, headers, body: (200, '{"status":"delivered"}'))
wish = {"merchant_order_no": secrets.token_hex(12), "amount": 1999, "subject": "点卡 100 元", "channel": "alipay-main",
        "notify_url": f"http://127.0.0.1:{port}/notify"}
status, text = call("POST", "/v1/charges", json.dumps(wish, ensure_ascii=False))
charge = json.loads(text)
check("charge opened", status == 201, text)
control("/scan", {"code": charge["attempt"]["pay"]["url"]})
_, headers, body = arrived.get(timeout=10)
headers = {name: value for name, value in headers.items()}
told = verifier.verify(body, headers)
check("webhook's signature holds", told["type"] == "charge.paid" and told["data"]["id"] == charge["id"], told)
check("tampered body refused", refused(lambda: verifier.verify(body.replace(b"1999", b"1998"), headers)))
for name, value in {"webhook-id": "evt_other", "webhook-timestamp": "1700000000", "webhook-signature": "v1,AAAA"}.items():
    changed = {**{key.lower(): kept for key, kept in headers.items()}, name: value}
    check(f"changed {name} refused", refused(lambda: verifier.verify(body, changed)))
check("another secret refused", refused(lambda: Webhook("whsec_" + "A" * 32).verify(body, headers)))
checks.close()
