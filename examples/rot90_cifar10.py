"""Images turned and mirrored at random: Figures 5b, 11b and 12 of arXiv 2305.09900, on CIFAR-10.

    python examples/cifar_bases.py --data DIR --output runs/cifar
    python examples/rot90_cifar10.py --data DIR --output runs/cifar
    python examples/rot90_cifar10.py --data DIR --output runs/cifar --architecture resnet --seed 0 --stage zero_shot
    python examples/rot90_cifar10.py --output runs/cifar --page docs/results/vision.md
    python examples/rot90_cifar10.py --output runs/cifar --keep examples/weights/vision

The first line trains the bases on upright images. The second line runs the stages of each base. zero_shot measures it
alone and symmetrised, without training. weights trains the networks that weight the views of an image, on a frozen
base. spatial measures these networks at the spatial level too. finetune_rot90 and finetune_flip finetune every method
on the same images. The third line runs one stage, so that several can run side by side. Finished stages are not run
again, and missing bases are left out. The fourth line writes the page from the results so far. The fifth line stores
weights of the first seed in half precision.

With `--smoke` a small ResNet learns four upright shapes, and all stages run on it, in less than a minute and without
data. It fails on turned or mirrored shapes. equizero, finetuned on upright shapes, recognises them.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from pathlib import Path

from cifar_bases import RECIPES
from data import add_data_argument, require
from machine import add_threads_argument, fix_arithmetic
from vision_results import write_page
from vision_smoke import show
from vision_stages import STAGES, Run
from vision_weights import keep


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("runs/cifar"), metavar="DIR", help="folder of all runs")
    parser.add_argument(
        "--architecture", choices=list(RECIPES), action="append", help="run only this base (default: both)"
    )
    parser.add_argument(
        "--seed", type=int, action="append", metavar="N", help="seed; repeat for more (default: 0, 1 and 2)"
    )
    parser.add_argument(
        "--stage", choices=list(STAGES), action="append", help="run only this stage; repeat for more (default: all)"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    parser.add_argument(
        "--elsewhere",
        type=Path,
        metavar="DIR",
        help="with --page: folder of the same runs elsewhere, to compare",
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="only store what the first seed trained, for readers")
    add_threads_argument(parser)
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute, without data")
    return parser.parse_args()


def main() -> None:
    """Run the stages that are not finished."""
    arguments = parse()
    fix_arithmetic(arguments.threads)
    gc.freeze()  # every Trainer collects garbage, and would go through every imported module
    if arguments.smoke:
        show()
        return
    seeds, architectures = arguments.seed or (0, 1, 2), arguments.architecture or RECIPES
    which = [(name, seed) for seed in seeds for name in architectures]
    runs = [Run(arguments.data, arguments.output, *one) for one in which]
    if arguments.page is not None:
        command = shlex.join(["python", "examples/rot90_cifar10.py", "--data", "DIR"])
        elsewhere = [Run(arguments.data, arguments.elsewhere, *one) for one in which] if arguments.elsewhere else []
        write_page(arguments.page, runs, command, elsewhere)
        return
    if arguments.keep is not None:
        keep([run for run in runs if run.seed == seeds[0]], arguments.keep)
        return
    require(arguments.data, "cifar10")
    for run in runs:
        for stage in arguments.stage or STAGES:
            if run.results(stage) is None:
                print(f"{stage}: {run.architecture}, seed {run.seed}", file=sys.stderr, flush=True)
                if not run.ready:
                    print("  the base is missing: run examples/cifar_bases.py first", file=sys.stderr, flush=True)
                    break
                run.finish(stage)


if __name__ == "__main__":
    main()
