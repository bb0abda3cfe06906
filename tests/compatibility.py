"""Run the tests that tell whether this library works with the installed releases, and show both as a table.

`make test-oldest` and `make test-newest` call it, each in an environment of its own:

    python tests/compatibility.py oldest

What runs is the contract of all model families and the fastest of the rest: what a release of another package can
break. The table is a column of docs/compatibility.md, where `--write` puts it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
ENVIRONMENTS = {
    "oldest": "the lower bounds of pyproject.toml (constraints-oldest.txt)",
    "constraints": "the environment of `make test` (constraints.txt)",
    "newest": "whatever the package index serves, bounds ignored",
}
PACKAGES = (
    *("transformers", "torch", "peft", "accelerate", "datasets", "huggingface_hub", "tokenizers", "safetensors"),
    *("evaluate", "numpy", "sympy", "matplotlib", "typer"),
)
CONTRACT = ("bases", "generation", "models", "networks", "hub", "training", "test_auto.py", "test_import.py")
STORED = ("test_stored_checkpoints.py",)
REST = (
    "actions",
    "cli",
    "fairness",
    "groups",
    "symmetrizers",
    "testing",
    "test_errors.py",
    "test_auto_classes.py",
    "test_registration.py",
)
# Arithmetic of our own, and pages: what no release breaks without breaking something else here.
LEFT_OUT = (
    *("cli/test_audit.py", "fairness/auditing", "fairness/report", "generation/test_coupled_sampling.py"),
    *("hub/test_interrupted.py", "hub/test_refusals.py", "models/cards", "models/clip/test_literal.py"),
    *("models/image_classification/test_gradients.py", "models/image_classification/test_literal.py"),
    *("models/seq2seq/test_rollout.py", "training/test_trainer_resume.py", "training/test_trainer_smoothing.py"),
)


def dependencies() -> list[str]:
    """The names of what this package depends on, tests included, and `torch` first, without their bounds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    return sorted({re.split(r"[<>=!\[ ]", one)[0] for one in wanted}, key=lambda name: (name != "torch", name))


class Count:
    """A plugin of pytest that counts how tests end."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            self.ends["failed"] += 1
        elif report.skipped or report.when == "call":
            self.ends[report.outcome] += 1


def run(newest: bool, arguments: Sequence[str]) -> tuple[int, Counter[str]]:
    """Run the tests, and say how they ended."""
    import pytest

    os.chdir(ROOT)
    places = [f"tests/{name}" for name in (*CONTRACT, *STORED, *REST)]
    options = ["-q", "-n", "2", "-m", "not slow and not hub and not index"]
    options += [f"--ignore=tests/{name}" for name in LEFT_OUT]
    if newest:  # where the bounds do not hold, nothing else is said of them
        options += ["-W", "ignore:hf_equi was not tested:hf_equi.errors.HfEquiWarning"]
    counted = Count()
    return int(pytest.main([*options, *arguments, *places], plugins=[counted])), counted.ends


def table(environment: str, ends: Counter[str]) -> list[tuple[str, str]]:
    """What was run with, and how it ended."""
    tests = ", ".join(f"{ends[end]} {end}" for end in ("passed", "failed", "skipped") if ends[end])
    found = [(name, version(name)) for name in PACKAGES]
    return [("environment", environment), ("Python", platform.python_version()), *found, ("tests", tests)]


def write(page: str, rows: Sequence[tuple[str, str]], day: str) -> str:
    """The page, with a column of its table replaced: rows are packages, columns are environments."""
    lines = page.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| environment |"))
    column = list(ENVIRONMENTS).index(rows[0][1]) + 1
    for name, value in [*rows[1:], ("run on", day)]:
        place = next(place for place in range(start, len(lines)) if lines[place].startswith(f"| {name} |"))
        cells = [cell.strip() for cell in lines[place].strip("|").split("|")]
        cells[column] = value
        lines[place] = f"| {' | '.join(cells)} |"
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments ask for; the status is pytest's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("environment", choices=[*ENVIRONMENTS, "dependencies"], help="what is installed here")
    parser.add_argument("--write", action="store_true", help="put the table into docs/compatibility.md")
    chosen, rest = parser.parse_known_args(arguments)
    if chosen.environment == "dependencies":
        print(" ".join(dependencies()))
        return 0
    status, ends = run(chosen.environment == "newest", rest)
    rows = table(chosen.environment, ends)
    width = max(len(name) for name, _ in rows)
    print("\n" + "\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    if chosen.write:
        day = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        PAGE.write_text(write(PAGE.read_text(encoding="utf-8"), rows, day), encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
