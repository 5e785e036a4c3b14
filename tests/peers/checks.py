"""What the Python peers share: a line per check, a server on a port of its own, JSON over HTTP, and the merchant's
signed call to the daemon. Standard library only, so that the peers without packages can use it too.

As a program: `checks.py METHOD PATH [BODY]` calls the daemon as the merchant and prints its answer."""

import base64
import hashlib
import hmac
import json
import os
import queue
import secrets
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PEER = os.path.splitext(os.path.basename(sys.argv[0]))[0]
failed = False


def check(name, holds, seen=""):
    """Prints the check's line; a failed one shows what was seen."""
    global failed
    if holds:
        print(f"ok   {PEER}: {name}", flush=True)
    else:
        failed = True
        print(f"FAIL {PEER}: {name}: {seen!r}", flush=True)
    return holds


def refused(act):
    """True when the act raises or answers nothing: how these packages refuse."""
    try:
        return not act()
    except Exception:
        return True


def close():
    sys.exit(1 if failed else 0)


def serve(answer, port=0):
    """A server on loopback: `answer(path, headers, body)` gives (status, text). Returns its port and a queue of requests."""
    requests = queue.Queue()

    class Desk(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, text = answer(self.path, self.headers, body)
            requests.put((self.path, self.headers, body))
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Desk)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1], requests


def send(url, body=None, headers=None, method=None):
    """(status, bytes) of a call, whatever the status."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def control(path, wish):
    """Tells the sandbox what a payer does, or what shall go wrong."""
    url = os.environ["SANDBOX_CONTROL"] + path
    status, body = send(url, json.dumps(wish).encode(), {"content-type": "application/json"})
    assert status < 300, (path, wish, status, body)
    return json.loads(body or b"null")


def call(method, path, body=""):
    """The merchant's signed call to the daemon: (status, text)."""
    at, nonce = str(int(time.time())), secrets.token_hex(16)
    message = f"{method}\n{path}\n{at}\n{nonce}\n{body}\n".encode()
    digest = hmac.new(os.environ["MERCHANT_KEY"].encode(), message, hashlib.sha256).digest()
    signature = base64.b64encode(digest).decode()
    proof = f'key_id="{os.environ["MERCHANT_KEY_ID"]}",timestamp="{at}",nonce="{nonce}",signature="{signature}"'
    headers = {"authorization": f"TONGDAO-HMAC-SHA256 {proof}", "content-type": "application/json"}
    status, answer = send(os.environ["DAEMON_URL"] + path, body.encode() if body else None, headers, method)
    return status, answer.decode()


if __name__ == "__main__":
    status, text = call(*sys.argv[1:])
    print(text)
    sys.exit(0 if status < 300 else 1)
