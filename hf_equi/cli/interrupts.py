"""Ctrl-C, pressed once or twice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["ending_at_once"]


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let a second Ctrl-C end the process at once, even while it is stopping on its own.

    What is already written is safe: each file appears whole, and an audit reads its samples up to the last whole line.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before is not signal.default_int_handler:
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, _end)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is stop:  # Ctrl-C was not pressed
            signal.signal(signal.SIGINT, before)


def _end(*_: object) -> None:
    if os.isatty(2):
        os.write(2, b"\x1b[?25h\n")  # shows the cursor, which a progress bar hid
    os._exit(130)
