"""Stands between a merchant and UnionPay's server: passes each POST on and keeps, byte for byte, what went each way, as
DIR/N.path, DIR/N.request and DIR/N.answer (written last). What comes to /notify is acknowledged and kept as DIR/N.request
too. Arguments: PORT TARGET DIR. Standard library only."""

import itertools
import sys
import threading
from pathlib import Path

import checks

port, target, kept = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
numbers = itertools.count(1)


def answer(path, headers, body):
    number = next(numbers)
    (kept / f"{number}.path").write_text(path)
    (kept / f"{number}.request").write_bytes(body)
    status, text = 200, b"ok"
    if path != "/notify":
        status, text = checks.send(target + path, body, {"content-type": headers["content-type"]})
    draft = kept / f"{number}.draft"
    draft.write_bytes(text)
    draft.rename(kept / f"{number}.answer")
    return status, text.decode()


checks.serve(answer, port)
threading.Event().wait()
