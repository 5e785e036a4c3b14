"""The PyPI package `wechatpayv3` as an unrelated merchant of the sandbox's WeChat Pay server, in both verification modes:
its signed requests are accepted, the answers and callbacks verify and decrypt there, changed ones do not.
Every 2xx answer is verified inside the package, which raises otherwise."""

import datetime
import gzip
import hashlib
import json
import os
import secrets
from pathlib import Path

from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core

import checks
from checks import check, control, refused

MCH_ID, APP_ID = os.environ["WECHATPAY_MCH_ID"], os.environ["WECHATPAY_APP_ID"]
KEYS = Path(os.environ["SANDBOX_KEYS"]) / "wechatpay" / MCH_ID

# The package knows one host only and calls it while it is built: the class is redirected, not the object.
Core._gate_way = property(lambda core: os.environ["SANDBOX_WECHATPAY"], lambda core, url: None)


def key(name):
    return (KEYS / name).read_text().strip()


def merchant(port, **mode):
    return WeChatPay(
        wechatpay_type=WeChatPayType.NATIVE, mchid=MCH_ID, appid=APP_ID, private_key=key("merchant_key.pem"),
        cert_serial_no=key("merchant_serial"), apiv3_key=key("api_v3_key"), notify_url=f"http://127.0.0.1:{port}/paid",
        timeout=(5, 5), **mode)


def order(peer, kind, **more):
    number = secrets.token_hex(12)
    status, text = peer.pay("点卡 100 元", number, {"total": 1999, "currency": "CNY"}, pay_type=kind, **more)
    return number, status, json.loads(text)


def sells(mode, peer, callbacks):
    scene = {"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}}
    number, status, native = order(peer, WeChatPayType.NATIVE)
    check(f"{mode}: native", status == 200 and native["code_url"].startswith("weixin://"), (status, native))
    _, status, h5 = order(peer, WeChatPayType.H5, scene_info=scene)
    check(f"{mode}: h5", status == 200 and h5["h5_url"].startswith("http"), (status, h5))
    _, status, jsapi = order(peer, WeChatPayType.JSAPI, payer={"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"})
    check(f"{mode}: jsapi", status == 200 and jsapi["prepay_id"].startswith("wx"), (status, jsapi))
    unpaid, status, app = order(peer, WeChatPayType.APP)
    check(f"{mode}: app", status == 200 and app["prepay_id"].startswith("wx"), (status, app))

    status, text = peer.query(out_trade_no=unpaid)
    check(f"{mode}: query unpaid", status == 200 and json.loads(text)["trade_state"] == "NOTPAY", (status, text))
    status, text = peer.close(unpaid)
    check(f"{mode}: close", status == 204, (status, text))
    status, text = peer.query(out_trade_no=unpaid)
    check(f"{mode}: query closed", status == 200 and json.loads(text)["trade_state"] == "CLOSED", (status, text))

    garbage = {"provider": "wechatpay", "operation": "query", "fault": {"kind": "bad_signature", "count": 1}}
    control("/faults", garbage)
    check(f"{mode}: badly signed answer refused", refused(lambda: peer.query(out_trade_no=number)))

    control("/scan", {"code": native["code_url"]})
    _, headers, body = callbacks.get(timeout=10)
    told = peer.callback(headers, body)["resource"]
    check(f"{mode}: callback of a payment", (told["out_trade_no"], told["trade_state"]) == (number, "SUCCESS"), told)
    status, text = peer.query(transaction_id=told["transaction_id"])
    check(f"{mode}: query paid", status == 200 and json.loads(text)["amount"]["total"] == 1999, (status, text))
    tampered = body.replace(b"TRANSACTION.SUCCESS", b"TRANSACTION.SUCCES5")
    check(f"{mode}: tampered callback refused", refused(lambda: peer.callback(headers, tampered)))
    return number


def refunds(mode, peer, callbacks, number):
    refund_no = secrets.token_hex(12)
    status, text = peer.refund(refund_no, {"refund": 500, "total": 1999, "currency": "CNY"}, out_trade_no=number,
                               reason="退货")
    check(f"{mode}: refund", status == 200 and json.loads(text)["out_refund_no"] == refund_no, (status, text))
    _, headers, body = callbacks.get(timeout=10)
    told = peer.callback(headers, body)["resource"]
    check(f"{mode}: callback of a refund", (told["out_refund_no"], told["refund_status"]) == (refund_no, "SUCCESS"), told)
    status, text = peer.query_refund(refund_no)
    check(f"{mode}: refund query", status == 200 and json.loads(text)["status"] == "SUCCESS", (status, text))


def reads_the_statement(mode, peer, number):
    control("/statements", {"ready_at_once": True})
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).strftime("%Y-%m-%d")
    status, text = peer.trade_bill(today)
    told = json.loads(text)
    check(f"{mode}: address of the statement", status == 200 and told["hash_type"] == "SHA1", (status, text))
    status, packed = peer.download_bill(told["download_url"])
    plain = gzip.decompress(packed)
    check(f"{mode}: the statement has its hash", hashlib.sha1(plain).hexdigest() == told["hash_value"], status)
    rows = [line.split(",`") for line in plain.decode("utf-8-sig").split("\r\n") if f"`{number}," in line]
    seen = [(row[9], row[12], row[16], row[19], row[24]) for row in rows]
    expected = [("SUCCESS", "19.99", "0.00", "", "19.99"), ("REFUND", "0.00", "5.00", "SUCCESS", "0.00")]
    check(f"{mode}: payment and refund stand in it", seen == expected, seen)


def run(mode, port, callbacks, **keys):
    peer = merchant(port, **keys)
    number = sells(mode, peer, callbacks)
    refunds(mode, peer, callbacks, number)
    reads_the_statement(mode, peer, number)


port, callbacks = checks.serve(lambda path, headers, body: (204, ""))
run("certificate", port, callbacks)
run("public key", port, callbacks, public_key=key("public_key.pem"), public_key_id=key("public_key_id"))
checks.close()
