"""The command line of every benchmark: the claims, the rounds, and the section of the page to write."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from record import Record
from report import Clock, differences, machine, measured_with, place, section
from timing import Claim, Result
from workload import Workload

SMOKE = "A run with a tiny model and one round. It shows that the code runs. Its figures mean nothing."


def language_models(arguments: argparse.Namespace) -> Workload:
    """Make the workload of causal language models."""
    return Workload.smoke(arguments.seed) if arguments.smoke else Workload(arguments.seed)


@dataclass(frozen=True)
class Benchmark:
    """A section of the page, with its claims.

    Args:
        title: The title of the section.
        description: A description of the measurements, in Markdown.
        summary: One line for `--help`.
        names: The names of the claims, for `--only`.
        claims: Makes the claims of a workload. The second argument says whether it is a smoke run.
        create: Makes the workload of a command line.
        add_arguments: Adds options to the command line.
        findings: Measures what is not a ratio, and returns it in Markdown, for below the table. A run with `--only`
            does without.
    """

    title: str
    description: str
    summary: str
    names: Sequence[str]
    claims: Callable[[Any, bool], list[Claim]]
    create: Callable[[argparse.Namespace], Any] = language_models
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None
    findings: Callable[[Any], str] | None = None

    def run(self) -> None:
        """Read the command line, measure, and write the section."""
        arguments = self._parse()
        torch.set_num_threads(arguments.threads)
        page = arguments.output
        before = page.read_text(encoding="utf-8") if page is not None and page.is_file() else ""
        repeats = 1 if arguments.smoke else arguments.repeats
        if arguments.only:
            _refuse_other_rows(page, differences(before, self.title, repeats, arguments.seed))
        record = Record(arguments.record, _settings(arguments))
        workload, clock, results = self.create(arguments), Clock(record.seconds), []
        for claim in self.claims(workload, arguments.smoke):
            if arguments.only and claim.name not in arguments.only:
                continue
            result = record.result(claim)
            if result is None:
                result = claim.measure(repeats, arguments.seed, warm=not arguments.smoke)
                record.keep(result, clock.seconds)
            print(_line(result), file=sys.stderr, flush=True)
            results.append(result)
        description = SMOKE if arguments.smoke else self.description
        findings = "" if self.findings is None or arguments.only else self.findings(workload)
        measured = measured_with(arguments.seed, clock)
        text = section(self.title, description, _command(arguments), results, findings, measured)
        if page is None:
            print(text, end="")
        else:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(place(before, text, bool(arguments.only)), encoding="utf-8")

    def _parse(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=self.summary)
        parser.add_argument(
            "--repeats", type=int, default=9, metavar="N", help="counted rounds for each claim (default: 9)"
        )
        parser.add_argument(
            "--only",
            action="append",
            choices=self.names,
            metavar="NAME",
            help="measure only this claim; repeat the option for more; --output then takes the same machine, rounds "
            f"and seed as the section has: {', '.join(self.names)}",
        )
        parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (default: 1)")
        parser.add_argument("--seed", type=int, default=0, help="seed of weights, prompts and samples (default: 0)")
        parser.add_argument(
            "--smoke", action="store_true", help="use a tiny model and one round, to show that everything runs"
        )
        parser.add_argument(
            "--output",
            type=Path,
            metavar="FILE",
            help="the page to write the section into (default: standard output)",
        )
        parser.add_argument(
            "--record",
            type=Path,
            metavar="JSON",
            help="keep the measures of each finished claim in this file, and go on behind them after an interruption",
        )
        if self.add_arguments is not None:
            self.add_arguments(parser)
        arguments = parser.parse_args()
        if arguments.repeats < 1 or arguments.threads < 1:
            parser.error("--repeats and --threads take 1 or more")
        return arguments


def _settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what measures depend on besides the claim: the whole paths, because all bases may be called `base`."""
    settings = {name: getattr(arguments, name) for name in ("repeats", "threads", "seed", "smoke")}
    settings |= {name: str(path.resolve()) for name, path in _folders(arguments).items()}
    return {**settings, "machine": machine()}


def _folders(arguments: argparse.Namespace) -> dict[str, Path]:
    """Return the folders of models and data."""
    paths = {name: value for name, value in vars(arguments).items() if isinstance(value, Path)}
    return {name: path for name, path in paths.items() if name not in ("output", "record")}


def _refuse_other_rows(page: Path, differing: Sequence[str]) -> None:
    """Refuse to put rows into a section that was measured in another way: it states only one."""
    if differing:
        raise SystemExit(
            f"The section of {page} is of a run that differs in {', '.join(differing)}. Measure all of it, without "
            "--only, or print the rows, without --output."
        )


def _line(result: Result) -> str:
    """Return one line about a claim."""
    (low, high), bound = result.interval, result.claim.bound
    verdict = "" if bound is None else f", bound {bound:.2f}: {result.verdict or 'too few rounds for a verdict'}"
    return f"{result.claim.name}: {result.ratio:.2f} ({low:.2f}–{high:.2f}) of {result.best}{verdict}"


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line with `DIR` for folders, which differ from machine to machine, and without a record."""
    folders = [str(path) for path in _folders(arguments).values()]
    words = []
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=")
        if word == "--record" or value == str(arguments.record):
            continue
        words.append(f"{option}{equals}DIR" if value in folders else word)
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
