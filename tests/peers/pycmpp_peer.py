"""pycmpp as a peer, in a process of its own. ``client PORT TEXT`` logs in at an ISMG and submits; ``submit`` reads SUBMITs in
hexadecimal from standard input, one a line, and prints what pycmpp reads in each as JSON."""

import json
import sys
import threading

sys.path.insert(0, sys.argv[1])

from pycmpp.cmpp import Cmpp
from pycmpp.request import SubmitRequestInstance


def client(port: str, words: str) -> None:
    cmpp = Cmpp(
        host="127.0.0.1", port=int(port), sp_id="901234", sp_secret="s3cr3t", src_id="1069", delivery=1, client_heartbeat=False
    )
    cmpp.connect()
    cmpp.auth()
    threading.Timer(0.3, cmpp.submit, (words, ["13800000009"])).start()
    cmpp.receive()


def submits() -> None:
    for line in sys.stdin:
        read = SubmitRequestInstance().resolve(bytes.fromhex(line))
        print(json.dumps({key: value.rstrip("\0") if isinstance(value, str) else value for key, value in read.items()}))


if sys.argv[2] == "client":
    client(sys.argv[3], sys.argv[4])
else:
    submits()
