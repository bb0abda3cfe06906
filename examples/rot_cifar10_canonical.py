"""Canonicalization on turned CIFAR-10: choose a pose, then run the base once (arXiv 2211.06489, 2310.01647).

    python examples/cifar_bases.py --data DIR --output runs/cifar
    python examples/rot_cifar10_canonical.py --data DIR --bases runs/cifar --output runs/canonical
    python examples/rot_cifar10_canonical.py --data DIR --architecture resnet --seed 0 --stage finetune_C4
    python examples/rot_cifar10_canonical.py --output runs/canonical --page docs/results/canonicalization.md

The first line trains the bases on upright images. The second line runs all stages of each seed. prior trains the
canonicalizers without a base, by the prior alone. Then follow the stages of each base. frozen measures the base as it
is with these canonicalizers, energies, equitune, equizero and λ, all from the features of the views of the test
images. checks compares that with the models themselves, and speed times them. finetune_none, finetune_C4 and
finetune_C8 train the base too, alone and together with a canonicalizer. The third line runs one stage, so that several
can run side by side. Finished stages are not run again, models of an unfinished one neither, and missing bases are
left out. The fourth line writes the page from the results so far.

With `--smoke` a small ResNet learns four upright shapes, and all stages run on it, in less than a minute and without
data.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from pathlib import Path

from canonical_results import write_page
from canonical_smoke import show
from canonical_stages import CANONICALIZERS, STAGES, STAGES_OF_BASES, CanonicalRun
from cifar_bases import RECIPES
from data import add_data_argument, require
from machine import add_threads_argument, fix_arithmetic
from transformers.utils import logging


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument(
        "--bases", type=Path, default=Path("runs/cifar"), metavar="DIR", help="folder of the bases of cifar_bases.py"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/canonical"), metavar="DIR", help="folder of all runs"
    )
    parser.add_argument(
        "--architecture", choices=list(RECIPES), action="append", help="run only this base (default: both)"
    )
    parser.add_argument(
        "--seed", type=int, action="append", metavar="N", help="seed; repeat for more (default: 0, 1 and 2)"
    )
    parser.add_argument(
        "--stage",
        choices=[*STAGES, *STAGES_OF_BASES],
        action="append",
        help="run only this stage; repeat for more (default: all)",
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute, without data")
    return parser.parse_args()


def main() -> None:
    """Run the stages that are not finished."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    logging.disable_progress_bar()
    gc.freeze()  # every Trainer collects garbage, and would go through every imported module
    if arguments.smoke:
        show()
        return
    names = (CANONICALIZERS, *(arguments.architecture or RECIPES))
    runs = [
        CanonicalRun(arguments.data, arguments.output, name, seed, bases=arguments.bases)
        for seed in arguments.seed or (0, 1, 2)
        for name in names
    ]
    if arguments.page is not None:
        write_page(arguments.page, runs, shlex.join(["python", "examples/rot_cifar10_canonical.py", "--data", "DIR"]))
        return
    require(arguments.data, "cifar10")
    for run in runs:
        for stage in run.stages:
            if run.results(stage) is None and stage in (arguments.stage or run.stages):
                print(f"{stage}: {run.architecture}, seed {run.seed}", file=sys.stderr, flush=True)
                if not run.ready:
                    print("  the base is missing: run examples/cifar_bases.py first", file=sys.stderr, flush=True)
                    break
                run.finish(stage)


if __name__ == "__main__":
    main()
