"""Measure results again, from stored weights, and print each beside the figure that its page states.

    python examples/reproduce.py --data DIR
    python examples/reproduce.py --data DIR --only scan --only clip

Nothing is trained. The weights are those of `examples/weights`, of one seed and in half precision, and the two models
inside the package. A row says "agrees" if its figures differ by no more than half precision and other kernels explain.
The program exits with 1 if a row differs. `docs/reproduce.md` lists every result, with its command from scratch.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data import add_data_argument, require
from datasets import disable_progress_bars
from machine import Clock, add_threads_argument, describe, fix_arithmetic, machine
from reproduce_rows import Row
from transformers.utils import logging
from weights import WEIGHTS

from hf_equi.errors import HfEquiWarning


@dataclass(frozen=True)
class Part:
    """The rows of one page.

    Args:
        page: The page, in `docs/results`.
        module: The example that measures them.
        function: Its function, which takes the folder of the data and yields rows.
        needs: The folders of the data that it reads.
        weights: The folder in `examples/weights` that it reads, if any.
    """

    page: str
    module: str
    function: str = "rows"
    needs: tuple[str, ...] = ()
    weights: str = ""

    def rows(self, data: Path) -> Iterator[Row]:
        """Measure, a row at a time."""
        yield from getattr(importlib.import_module(self.module), self.function)(data)


PARTS = {
    "regard": Part("regard.md", "text_reproduce", "regard", ("regard",)),
    "fairness": Part("fairness.md", "text_reproduce", "fairness"),
    "finetuning": Part("finetuning.md", "text_reproduce", "finetuning", ("text",)),
    "scan": Part("scan.md", "scan_reproduce", needs=("scan",), weights="scan"),
    "vision": Part("vision.md", "vision_reproduce", needs=("cifar10",), weights="vision"),
    "clip": Part("clip.md", "clip_reproduce", needs=("cifar10", "clip_prompts"), weights="clip"),
}
LINE = "  {:<66} {:>12} {:>12}  {}"


def show(row: Row) -> str:
    """Return the line of a row."""
    verdict = "agrees" if row.met else f"DIFFERS by more than {row.allowed:g}"
    return LINE.format(row.result, _figure(row.stated, row.unit), _figure(row.obtained, row.unit), verdict)


def _figure(value: float, unit: str) -> str:
    """Format a figure. What is only rounding gets an exponent."""
    text = (
        f"{value:.2f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) >= 1e-3 or value == 0 else f"{value:.0e}"
    )
    return f"{text} {unit}".rstrip()


def measure(name: str, data: Path) -> list[Row]:
    """Measure the rows of a part, and print each as it comes."""
    clock, found = Clock(), []
    print(
        f"\n{name} (docs/results/{PARTS[name].page})\n{LINE.format('', 'stated', 'obtained', '').rstrip()}", flush=True
    )
    for row in PARTS[name].rows(data):
        found.append(row)
        print(show(row), flush=True)
    if not found:
        raise SystemExit(f"{name} measured nothing: its weights or its page are not complete")
    seconds = clock.seconds
    print(f"  {len(found)} rows, {seconds['cpu']} seconds of CPU time, {seconds['wall']} by the clock", flush=True)
    return found


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    add_threads_argument(parser)
    parser.add_argument(
        "--only", choices=list(PARTS), action="append", help="measure only this part; repeat for more (default: all)"
    )
    return parser.parse_args()


def main() -> int:
    """Measure all parts, and return the exit status."""
    arguments = parse()
    parts = arguments.only or list(PARTS)
    require(arguments.data, *dict.fromkeys(folder for name in parts for folder in PARTS[name].needs))
    folders = [WEIGHTS / PARTS[name].weights for name in parts if PARTS[name].weights]
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        print(f"{missing[0]} is missing. The weights are part of the repository, not of a release.", file=sys.stderr)
        return 2
    fix_arithmetic(arguments.threads)
    # The pages say which words stay, and they are the same here.
    warnings.simplefilter("ignore", HfEquiWarning)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    disable_progress_bars()
    clock = Clock()
    rows = [row for name in parts for row in measure(name, arguments.data)]
    agreeing = sum(row.met for row in rows)
    print(f"\n{agreeing} of {len(rows)} rows agree.", describe([{"machine": machine(), "seconds": clock.seconds}]))
    return int(agreeing < len(rows))


if __name__ == "__main__":
    sys.exit(main())
