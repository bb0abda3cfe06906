"""Imports modules once, and then is, fork by fork, every process that `warm_client.py` asks for.

    python warm_server.py SOCKET WATCHED MODULE...

listens on `SOCKET` in the background until the process `WATCHED` has ended. A fork takes over the standard streams,
the working directory, the environment and the command line of the client, and goes on as Python does: with a script,
with `-c` or with `-m`, behind any number of `-u` and `-W`. What has been imported is all that it has beforehand.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
import types
import warnings
from pathlib import Path
from typing import Any, NoReturn

SECOND = 1.0


def listen(path: str) -> socket.socket:
    """Who asks from here on is answered, though what is to be imported takes a while."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    return listener


def leave_the_caller() -> None:
    """Go on in the background, while the process that was started ends."""
    if os.fork():
        os._exit(0)
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)


def serve(listener: socket.socket, watched: int) -> dict[str, Any]:
    """What a client asks for, in a process of its own: it returns once for each of them, and never in the server."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those that wait
    while True:
        if not select.select([listener], [], [], SECOND)[0]:
            if not Path(f"/proc/{watched}").exists():
                os._exit(0)
            continue
        client, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            return answer(client)
        client.close()


def answer(client: socket.socket) -> dict[str, Any]:
    """Return in a new process, and tell the client how that ends; it ends with the client at the latest."""
    length, streams, _, _ = socket.recv_fds(client, 4, 3)
    size, text = int.from_bytes(length, "big"), b""
    while len(text) < size:
        text += client.recv(size - len(text))
    child = os.fork()
    if child == 0:
        client.close()
        os.setsid()
        for stream, given in enumerate(streams):
            os.dup2(given, stream)
            os.close(given)
        return json.loads(text)
    for given in streams:
        os.close(given)
    ended = os.pidfd_open(child)
    if ended not in select.select([client, ended], [], [])[0]:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    client.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
    os._exit(0)


def become(request: dict[str, Any], own: list[str]) -> None:
    """Run what a command line says, with the environment and the folder of the client."""
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.stdin = sys.__stdin__ = os.fdopen(0, closefd=False)
    sys.stdout = sys.__stdout__ = os.fdopen(1, "w", buffering=1 if os.isatty(1) else -1, closefd=False)
    sys.stderr = sys.__stderr__ = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    words = list(request["words"])
    while words[0] in ("-u", "-W"):
        if words.pop(0) == "-W":
            warnings.simplefilter(words.pop(0))
        else:
            sys.stdout.reconfigure(write_through=True)
    option = words.pop(0) if words[0] in ("-c", "-m") else None
    first = "" if option == "-c" else os.getcwd() if option else os.path.dirname(os.path.abspath(words[0]))
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [first, *paths, *own]
    sys.argv[:] = ["-c", *words[1:]] if option == "-c" else words
    run(option, words)


def run(option: str | None, words: list[str]) -> None:
    """What stands behind the options."""
    if option == "-c":
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(words[0], "<string>", "exec"), vars(sys.modules["__main__"]))
    elif option == "-m":
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(words[0], run_name="__main__")


def end(error: BaseException | None) -> NoReturn:
    """As Python ends, but that nothing is taken apart, which takes longer than many a program runs."""
    status = 1
    if error is None or (isinstance(error, SystemExit) and error.code is None):
        status = 0
    elif not isinstance(error, SystemExit):
        traceback.print_exception(error)
    elif isinstance(error.code, int):
        status = error.code
    else:
        print(error.code, file=sys.stderr)
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status & 0xFF)


def main() -> None:
    path, watched, *modules = sys.argv[1:]
    listener = listen(path)
    leave_the_caller()
    for module in modules:
        with contextlib.suppress(ImportError):  # of a release that has no such module, or of an extra
            importlib.import_module(module)
    gc.collect()
    gc.freeze()
    sys.executable = path.removesuffix(".socket")  # what it starts in its turn has been imported too
    given = {os.path.dirname(os.path.abspath(__file__)), *os.environ.get("PYTHONPATH", "").split(os.pathsep)}
    own = [path for path in sys.path if path and path not in given]
    request = serve(listener, int(watched))
    error = None
    try:
        become(request, own)
    except BaseException as raised:
        error = raised
    end(error)


if __name__ == "__main__":
    main()
