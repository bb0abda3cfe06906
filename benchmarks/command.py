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
from report import Clock, measured_with, place, section
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
    """

    title: str
    description: str
    summary: str
    names: Sequence[str]
    claims: Callable[[Any, bool], list[Claim]]
    create: Callable[[argparse.Namespace], Any] = language_models
    add_arguments: Callable[[argparse.ArgumentParser], None] | None = None

    def run(self) -> None:
        """Read the command line, measure, and write the section."""
        arguments = self._parse()
        torch.set_num_threads(arguments.threads)
        settings = {name: getattr(arguments, name) for name in ("repeats", "threads", "seed", "smoke")}
        record = Record(arguments.record, settings)
        workload, clock, results = self.create(arguments), Clock(record.seconds), []
        for claim in self.claims(workload, arguments.smoke):
            if arguments.only and claim.name not in arguments.only:
                continue
            result = record.result(claim)
            if result is None:
                repeats = 1 if arguments.smoke else arguments.repeats
                result = claim.measure(repeats, arguments.seed, warm=not arguments.smoke)
                record.keep(result, clock.seconds)
            print(_line(result), file=sys.stderr, flush=True)
            results.append(result)
        description = SMOKE if arguments.smoke else self.description
        measured = measured_with(arguments.seed, clock)
        text = section(self.title, description, _command(arguments), measured, results)
        if arguments.output is None:
            print(text, end="")
        else:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            before = arguments.output.read_text(encoding="utf-8") if arguments.output.is_file() else ""
            arguments.output.write_text(place(before, text, bool(arguments.only)), encoding="utf-8")

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
            help=f"measure only this claim; repeat the option for more: {', '.join(self.names)}",
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


def _line(result: Result) -> str:
    """Return one line about a claim."""
    (low, high), bound = result.interval, result.claim.bound
    verdict = "" if bound is None else f", bound {bound:.2f}: {result.verdict}"
    return f"{result.claim.name}: {result.ratio:.2f} ({low:.2f}–{high:.2f}) of {result.best}{verdict}"


def _command(arguments: argparse.Namespace) -> str:
    """Return the command line with `DIR` for folders, which differ from machine to machine, and without a record."""
    paths = {name: str(path) for name, path in vars(arguments).items() if isinstance(path, Path)}
    folders = [path for name, path in paths.items() if name not in ("output", "record")]
    words = []
    for word in sys.argv[1:]:
        option, equals, value = word.rpartition("=")
        if word == "--record" or value == paths.get("record"):
            continue
        words.append(f"{option}{equals}DIR" if value in folders else word)
    return shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])
