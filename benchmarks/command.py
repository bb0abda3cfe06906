"""The command line of every benchmark: what it measures, how often, and the page that it writes."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from report import page
from timing import Claim
from workload import Workload

SMOKE = "A run with a tiny model and one round: it shows that the code runs, its figures mean nothing."


@dataclass(frozen=True)
class Benchmark:
    """A page of claims.

    Args:
        title: Of the page.
        description: What is measured, in Markdown.
        summary: One line for `--help`.
        names: Of the claims, for `--only`.
        claims: Makes the claims of a workload; the second argument says whether it is a smoke run.
    """

    title: str
    description: str
    summary: str
    names: Sequence[str]
    claims: Callable[[Workload, bool], list[Claim]]

    def run(self) -> None:
        """Read the command line, measure, and write the page."""
        arguments = self._parse()
        torch.set_num_threads(arguments.threads)
        workload = Workload.smoke(arguments.seed) if arguments.smoke else Workload(arguments.seed)
        results = []
        for claim in self.claims(workload, arguments.smoke):
            if arguments.only and claim.name not in arguments.only:
                continue
            result = claim.measure(1 if arguments.smoke else arguments.repeats, arguments.seed)
            low, high = result.spread
            bound = "" if claim.bound is None else f", bound {claim.bound:.2f}"
            print(f"{claim.name}: {result.ratio:.2f} ({low:.2f}–{high:.2f}){bound}", file=sys.stderr)
            results.append(result)
        script = Path(sys.argv[0]).name
        command = shlex.join(["python", f"benchmarks/{script}", *sys.argv[1:]])
        text = page(self.title, SMOKE if arguments.smoke else self.description, command, arguments.seed, results)
        if arguments.output is None:
            print(text, end="")
        else:
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.write_text(text, encoding="utf-8")

    def _parse(self) -> argparse.Namespace:
        parser = argparse.ArgumentParser(description=self.summary)
        parser.add_argument("--repeats", type=int, default=7, metavar="N", help="counted rounds a claim (default: 7)")
        parser.add_argument(
            "--only",
            action="append",
            choices=self.names,
            metavar="NAME",
            help=f"this claim alone, again for more: {', '.join(self.names)}",
        )
        parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of torch (default: 2)")
        parser.add_argument("--seed", type=int, default=0, help="of weights, prompts and samples (default: 0)")
        parser.add_argument(
            "--smoke", action="store_true", help="a tiny model and one round: shows that all of it runs"
        )
        parser.add_argument("--output", type=Path, metavar="FILE", help="the page to write (default: standard output)")
        arguments = parser.parse_args()
        if arguments.repeats < 1 or arguments.threads < 1:
            parser.error("--repeats and --threads take 1 or more")
        return arguments
