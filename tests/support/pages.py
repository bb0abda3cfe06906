"""The code blocks of a page, run as a reader would who begins at its top: in one namespace, in one folder."""

from __future__ import annotations

import contextlib
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_equi.cli import main

ROOT = Path(__file__).parents[2]
SHOWN = {"text", "json", "yaml"}
"""Languages of blocks that are there to be read."""
ELSEWHERE = {
    "make": "the Makefile",
    "hf-equi demo": "tests/cli/test_demo.py and tests/demo/test_page.py: it serves until somebody ends it",
    "source .venv/bin/activate": "the Makefile",
    "pip install": "tests/test_wheel.py",
    "python examples/real_models.py": "tests/test_real_model_examples.py",
    "python examples/turned_picture.py": "tests/test_real_model_examples.py",
    "python my-space/app.py": "tests/demo/test_page.py",
    "hf upload": "the Hub",
    "python examples/scan.py": "tests/test_examples.py",
    "lm_eval": "tests/hub/test_lm_eval.py",
    "from accelerate import PartialState": "tests/training/test_distributed.py, in several processes",
}
"""What blocks and commands begin with that run elsewhere, and where."""
SHORTER = {
    "audit": (
        *("--samples", "1", "--max-new-tokens", "3", "--methods", "base,EquiLM"),
        *("--prompt", "The {demographic} was"),  # in place of ten
    ),
    "generate": ("--max-new-tokens", "3"),
}
"""Options behind those of a command, so that it takes less time."""


@dataclass(frozen=True)
class Block:
    """A block of code, and the line of the page that it begins at."""

    language: str
    code: str
    line: int


def pages() -> set[str]:
    """The pages that have blocks, except for model cards, which programs write."""
    every = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return {path.relative_to(ROOT).as_posix() for path in every if "```" in path.read_text(encoding="utf-8")}


def blocks(page: str) -> list[Block]:
    """All blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [Block(match[1], match[2], text.count("\n", 0, match.start()) + 1) for match in found]


@dataclass
class Page:
    """A page and what its code has defined.

    Args:
        page: Its path in the repository.
        names: What the page takes as given, and then what it defines.
    """

    page: str
    names: dict[str, Any] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        """Run all of it; what it leaves behind."""
        for block in blocks(self.page):
            if block.language == "python":
                self._run_program(block)
            elif block.language in ("bash", "console"):
                self._run_commands(block)
            else:
                assert block.language in SHOWN, f"{self.page}:{block.line}: {block.language!r} does not run"
        return self.names

    def _run_program(self, block: Block) -> None:
        if not block.code.startswith(tuple(ELSEWHERE)):
            exec(compile("\n" * block.line + block.code, ROOT / self.page, "exec"), self.names)

    def _run_commands(self, block: Block) -> None:
        lines = block.code.replace("\\\n", "").splitlines()
        if block.language == "console":  # which shows answers too
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            if not line.startswith(tuple(ELSEWHERE)):
                assert _run_command(line) == 0, f"{self.page}:{block.line}: {line}"


def _run_command(line: str) -> int:
    """One of this library's, in this process."""
    command, _, target = line.partition(" > ")
    program, *arguments = shlex.split(command, comments=True)
    assert program == "hf-equi", program
    with contextlib.ExitStack() as stack:
        if target:
            file = stack.enter_context(Path(target.strip()).open("w", encoding="utf-8"))
            stack.enter_context(contextlib.redirect_stdout(file))
        shorter = () if "--images" in arguments else SHORTER.get(arguments[0], ())
        return main([*arguments, *shorter])
