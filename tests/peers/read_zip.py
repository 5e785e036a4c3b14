"""Opens a ZIP from standard input with Python's own library and prints {name: text} as JSON; names and texts are GBK.
Without the flag for UTF-8 the library reads a name as code page 437, which loses no byte. Standard library only."""

import io
import json
import sys
import zipfile

with zipfile.ZipFile(io.BytesIO(sys.stdin.buffer.read())) as archive:
    assert archive.testzip() is None
    assert all(entry.flag_bits & 0x800 == 0 for entry in archive.infolist())
    texts = {entry.filename.encode("cp437").decode("gbk"): archive.read(entry).decode("gbk") for entry in archive.infolist()}
json.dump(texts, sys.stdout)
