"""Images turned and mirrored at random: Figures 5b, 11b and 12 of arXiv 2305.09900, on CIFAR-10.

    python examples/cifar_bases.py --data DIR --output runs/cifar
    python examples/rot90_cifar10.py --data DIR --output runs/cifar
    python examples/rot90_cifar10.py --data DIR --output runs/cifar --architecture resnet --seed 0 --stage zero_shot
    python examples/rot90_cifar10.py --output runs/cifar --page docs/results/vision.md

The first line trains the bases, on upright images. The second line measures each of them as it is and symmetrised
without training (zero_shot), trains the networks that weigh the views of an image on a frozen base (weights), measures
them at the spatial level too (spatial), and finetunes every method on the same images (finetune_rot90, finetune_flip).
The third line runs one of them, so that several can run side by side. What is finished is not run again, and bases
that are not there are left out. The fourth line writes the page from what is there.

With `--smoke` a small ResNet learns four upright shapes, and all stages run on it, in less than a minute and without
data: shown the shapes turned or mirrored, it fails, and equizero, finetuned on upright ones, recognises them.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from pathlib import Path

import torch
from cifar_bases import RECIPES
from data import add_data_argument, require
from vision_results import write_page
from vision_smoke import show
from vision_stages import STAGES, Run


def parse() -> argparse.Namespace:
    """The command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument("--output", type=Path, default=Path("runs/cifar"), metavar="DIR", help="folder of all runs")
    parser.add_argument("--architecture", choices=list(RECIPES), action="append", help="default: both")
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="default: 0, 1 and 2")
    parser.add_argument("--stage", choices=list(STAGES), action="append", help="default: all, in their order")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into a page, and run nothing")
    parser.add_argument("--smoke", action="store_true", help="show the effect in a minute, without data")
    return parser.parse_args()


def main() -> None:
    """Run the stages that are not finished."""
    arguments = parse()
    # Gradients of sure answers sink below the normal numbers, on which a CPU is many times slower.
    torch.set_flush_denormal(True)
    gc.freeze()  # every Trainer collects garbage, and would walk through all that is imported
    if arguments.smoke:
        show()
        return
    seeds, architectures = arguments.seed or (0, 1, 2), arguments.architecture or RECIPES
    runs = [Run(arguments.data, arguments.output, name, seed) for seed in seeds for name in architectures]
    if arguments.page is not None:
        write_page(arguments.page, runs, shlex.join(["python", "examples/rot90_cifar10.py", "--data", "DIR"]))
        return
    require(arguments.data, "cifar10")
    for run in runs:
        for stage in arguments.stage or STAGES:
            if run.results(stage) is None:
                print(f"{stage}: {run.architecture}, seed {run.seed}", file=sys.stderr, flush=True)
                if not run.ready:
                    print("  no base: run examples/cifar_bases.py first", file=sys.stderr, flush=True)
                    break
                run.finish(stage)


if __name__ == "__main__":
    main()
