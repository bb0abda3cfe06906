"""Regression on vectors that turn: canonical-λ-equitune, Table 13 of arXiv 2305.09900.

    python examples/so2_regression.py --output runs/so2
    python examples/so2_regression.py --output runs/so2 --part table --seeds 0 1
    python examples/so2_regression.py --output runs/so2 --page docs/results/so2_regression.md

The first line trains every cell with every seed: the cells of Table 13, an ablation of Θ, h and λ, and a target that
turns with its input, for both forms of equation 5. It writes a record for each, and does not run again what has one.
The second line trains some of them. The third line writes the page from the records so far. No data are needed.

With `--smoke` two small cells train on few samples, in less than a minute. It prints their losses, how far they are
from being symmetric, and what both forms of equation 5 make of a function that is equivariant already.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch
from machine import add_threads_argument, fix_arithmetic
from so2_results import write_page
from so2_stages import (
    ALONE,
    BEST,
    PARTS,
    Cell,
    Run,
    Settings,
    asymmetry,
    equivariant,
    fit,
    loss_of,
    runs_of,
    untrained,
)

SEEDS = range(5)
SMALL = Settings(samples=1000, batch=100, epochs=20)


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=Path("runs/so2"), metavar="DIR", help="folder of all runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS], metavar="N", help="seeds (default: 0 to 4)")
    parser.add_argument(
        "--part", choices=list(PARTS), action="append", help="train only these cells; repeat for more (default: all)"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute")
    return parser.parse_args()


def show(output: Path) -> None:
    """Train two small cells, and print what they are measured by."""
    for cell in (ALONE, Cell("invariant", BEST)):
        run = Run(output, cell, 0, SMALL)
        torch.manual_seed(0)
        model = cell.make()
        fit(model, run.data("train"), run.data("test"), SMALL)
        x, y = run.data("test")
        print(f"{cell.name:24} test loss {loss_of(model, x, y):.3f}, asymmetry {asymmetry(model, x):.1e}")
    x = Run(output, Cell("equivariant"), 0, SMALL).data("test")[0]
    model = Cell("equivariant", poses=False).make()
    for name, loss in untrained(model.base, x, equivariant(x))[" ".join(BEST)].items():
        if name.startswith("the target"):
            print(f"{name:36} loss {loss:.1e}")


def main() -> None:
    """Show, write the page, or train what has no record."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    if arguments.smoke:
        show(arguments.output)
        return
    runs = list(runs_of(arguments.output, arguments.seeds, arguments.part or PARTS))
    if arguments.page is not None:
        write_page(arguments.page, runs, shlex.join(["python", "examples/so2_regression.py", "--output", "runs/so2"]))
        return
    for run in runs:
        if run.results() is None:
            print(f"{run.cell.target}: {run.cell.name}, seed {run.seed}", file=sys.stderr, flush=True)
            print(f"  test loss {run.finish()['test_loss']:.4f}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
