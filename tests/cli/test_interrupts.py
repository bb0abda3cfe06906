"""Ctrl-C."""

from __future__ import annotations

import subprocess

from children import python_with_package

from hf_equi.cli import main


def test_interrupting_is_no_error(monkeypatch) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_equi.cli.inspect.run_inspect", interrupt)
    assert main(["inspect"]) == 130


TWICE = """
import atexit, os, signal, sys
from hf_equi.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell leaves out of what it runs in the background

def press(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()

sys.modules["hf_equi.cli.app"].app = press
atexit.register(press)
sys.exit(main([]))
"""


def test_interrupting_twice_ends_at_once_and_without_a_word() -> None:
    child = subprocess.run([python_with_package(), "-c", TWICE], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout, child.stderr) == (130, "", "")
