"""The commands that pages and programs print on lines of their own, read by the program that each of them calls."""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import re
import runpy
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import typer.main

from hf_equi.cli.app import app

ROOT = Path(__file__).parents[2]
# Indented, alone in a block, or there behind a dollar.
_PLACE = r"^(?:\$ |  +|(?=hf-equi \w+ [^`]+$))"
_COMMAND = re.compile(_PLACE + r"((?:python (?:examples|benchmarks)/|hf-equi |make )[^`\n]*)$", re.MULTILINE)
_BEHIND = re.compile(r" > |   ")  # a file, or what the command does
_OPEN = re.compile(r"[\[|…]")  # what stands for several commands


class _Parsed(Exception):  # noqa: N818  not an error
    """All words were read."""


def printed_commands() -> dict[str, list[str]]:
    """Each command that a page, a card or a program's help prints, whether it runs or not: its words."""
    texts = [
        path.read_text(encoding="utf-8")
        for folder in (".", "docs", "docs/results", "model_cards")
        for path in sorted((ROOT / folder).glob("*.md"))
    ]
    for path in [*ROOT.glob("examples/*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "hf_equi" / "cli" / "app.py"]:
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        texts += [ast.get_docstring(node) or "" for node in nodes if isinstance(node, ast.Module | ast.FunctionDef)]
    lines = [line for text in texts for line in _COMMAND.findall(re.sub(r"\\\n\s*", "", text))]
    return {line: shlex.split(_BEHIND.split(line)[0], comments=True) for line in lines if not _OPEN.search(line)}


def read_command(words: Sequence[str]) -> str:
    """What is wrong with a command, as its program says it; nothing is run."""
    program, *rest = words
    if program == "make":
        return _read_make(rest)
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            if program == "hf-equi":
                _read_ours(rest)
            else:
                _read_script(rest)
        except _Parsed:
            return ""
        except SystemExit as ended:
            if "pip install -e '.[" in str(ended.code):  # without its extra, a program reads nothing
                return ""
            return said.getvalue() or "no such command"
    return "it reads no arguments"


def _read_make(words: Sequence[str]) -> str:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = {*re.findall(r"^([\w-]+):", text, re.MULTILINE), *re.findall(r"^(\w+) \?=", text, re.MULTILINE)}
    return " ".join(word for word in words if word.split("=")[0] not in known)


def _read_ours(words: list[str]) -> None:
    commands: Any = typer.main.get_command(app)
    name, *rest = words
    try:
        commands.commands[name].make_context(name, rest)
    except KeyError as error:
        raise SystemExit from error
    except Exception as error:  # of click, which typer may carry within itself
        print(error, file=sys.stderr)
        raise SystemExit from error
    raise _Parsed


def _read_script(words: list[str]) -> None:
    read = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: Any) -> None:
        read(parser, *given)
        raise _Parsed

    script = ROOT / words[0]
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
        mock.patch.object(sys, "argv", words),
        mock.patch.object(sys, "path", [*sys.path, str(script.parent)]),
    ):
        runpy.run_path(str(script), run_name="__main__")
