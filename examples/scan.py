"""Compositional generalisation on SCAN: Tables 2 and 8 to 12 and Figure 10 of arXiv 2305.09900.

    python examples/scan.py --data DIR --output runs/scan
    python examples/scan.py --data DIR --output runs/scan --split add_jump --cell lstm --seed 0
    python examples/scan.py --data DIR --output runs/scan --settings published --seed 0
    python examples/scan.py --output runs/scan --page docs/results/scan.md --keep

The first line runs every split, cell and seed. It trains the base model, measures it alone and symmetrised without
training (zero-shot), finetunes it symmetrised, and trains the network that is equivariant by construction. The second
line runs one of them, so that several can run side by side. A killed run resumes at its last checkpoint, and finished
stages are not run again. The third line trains the LSTM and G-RNN with the published settings, single sentences. The
last line writes the page from the results so far, and keeps the networks of seed 0 for `make reproduce`.

With `--smoke` a small LSTM learns short commands in less than a minute, without data. It never sees "jump" beside
other words. Asked to "jump twice" it fails, and equizero answers I_JUMP I_JUMP.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from itertools import product
from pathlib import Path

from data import add_data_argument, require
from machine import add_threads_argument, fix_arithmetic
from scan_data import GROUPS
from scan_keep import keep
from scan_published import STAGES as PUBLISHED_STAGES
from scan_results import CELLS, write_page
from scan_smoke import show
from scan_stages import SETTINGS, STAGES, Run


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("runs/scan"), metavar="DIR", help="folder of all runs")
    parser.add_argument("--split", choices=sorted(GROUPS), action="append", help="run only this split (default: both)")
    parser.add_argument(
        "--cell", choices=CELLS, action="append", help="run only this one; repeat for more (default: all three)"
    )
    parser.add_argument(
        "--seed", type=int, action="append", metavar="N", help="seed; repeat for more (default: 0, 1 and 2)"
    )
    parser.add_argument(
        "--stage", choices=list(STAGES), action="append", help="run only this stage; repeat for more (default: all)"
    )
    parser.add_argument(
        "--settings",
        choices=SETTINGS,
        default=SETTINGS[0],
        help="published: single sentences, the published rates and steps, for the LSTM and G-RNN (default: ours)",
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    parser.add_argument(
        "--others",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of the same runs with other threads or kernels, for the page; repeat for more",
    )
    parser.add_argument("--keep", action="store_true", help="keep the networks of seed 0 in examples/weights/scan")
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute, without data")
    return parser.parse_args()


def select(arguments: argparse.Namespace, output: Path, settings: str) -> list[Run]:
    """Return the runs that the command line names, in a folder of runs."""
    seeds, splits, cells = arguments.seed or (0, 1, 2), arguments.split or sorted(GROUPS), arguments.cell or CELLS
    keys = product(seeds, splits, cells)
    return [Run(arguments.data / "scan", output, split, cell, seed, settings) for seed, split, cell in keys]


def train(arguments: argparse.Namespace) -> None:
    """Run the stages that are not finished."""
    require(arguments.data, "scan")
    fix_arithmetic(arguments.threads)
    stages = STAGES if arguments.settings == SETTINGS[0] else PUBLISHED_STAGES
    for stage in arguments.stage or stages:
        for run in select(arguments, arguments.output, arguments.settings):
            if run.takes(stage) and run.results(stage) is None:
                print(f"{stage}: {run.name}", file=sys.stderr, flush=True)
                run.finish(stage, stages[stage](run))


def main() -> None:
    """Show, train, keep, or write the page."""
    arguments = parse()
    if arguments.smoke:
        show()
    elif not arguments.keep and arguments.page is None:
        train(arguments)
    if arguments.keep:
        for settings in SETTINGS:
            for run in select(arguments, arguments.output, settings):
                if run.seed == 0:
                    keep(run)
    if arguments.page is not None:
        runs = [run for settings in SETTINGS for run in select(arguments, arguments.output, settings)]
        others = [run for output in arguments.others for run in select(arguments, output, SETTINGS[0])]
        write_page(arguments.page, runs, shlex.join(["python", "examples/scan.py", "--data", "DIR"]), others)


if __name__ == "__main__":
    main()
