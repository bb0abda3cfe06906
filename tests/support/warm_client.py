"""Stands in for Python: what it is told to run, a fork of `warm_server.py` runs, with the streams of this process.

python -IS warm_client.py SOCKET ARGUMENT...
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys


def main() -> int:
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    request = {"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}
    text = json.dumps(request).encode()
    socket.send_fds(server, [len(text).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(text)
    status = int.from_bytes(server.recv(4), "big", signed=True)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -status)
    return status


if __name__ == "__main__":
    sys.exit(main())
