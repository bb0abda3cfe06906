"""Turned and mirrored ImageNet photos: what a pretrained MobileNetV2 recognises, alone and symmetrised.

    python examples/real_models.py --output real --only mobilenet
    python examples/imagenet.py --data DIR --model real/mobilenet
    python examples/imagenet.py --data DIR --model real/mobilenet --page docs/results/imagenet.md

DIR holds the photos in `imagenet_sample`, with labels.csv. The second line computes the features of each photo in its
eight positions once. On them it measures the base, equitune, equizero, and λ and attention, which it trains on half of
the photos. The stage canonical trains canonicalizers on upright images without classes, those of CIFAR-10 in
DIR/cifar10 and the photos. Finished stages are not run again. The third line writes the page from the results so far.
Any image classifier of transformers with ImageNet's classes will do.
"""

from __future__ import annotations

import argparse
import gc
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from data import add_data_argument, require_model
from imagenet_results import write_page
from imagenet_run import Experiment
from imagenet_stages import STAGES, finish
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
        "--model", default="real/mobilenet", metavar="NAME", help="folder or Hub name of the classifier"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/imagenet"), metavar="DIR", help="folder of the results"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="seed of the splits and of training (default: 0)"
    )
    parser.add_argument(
        "--stage", choices=list(STAGES), action="append", help="run only this stage; repeat for more (default: all)"
    )
    add_threads_argument(parser)
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    parser.add_argument(
        "--elsewhere", type=Path, metavar="DIR", help="with --page: folder of the same run elsewhere, to compare"
    )
    return parser.parse_args()


def main() -> None:
    """Run the stages that are not finished."""
    arguments = parse()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    gc.freeze()  # every Trainer collects garbage, and would go through every imported module
    fix_arithmetic(arguments.threads)
    run = Experiment(arguments.data, arguments.model, arguments.output, arguments.seed)
    if arguments.page is not None:
        command = ["python", "examples/imagenet.py", "--data", "DIR", "--model", "real/mobilenet"]
        other = replace(run, output=arguments.elsewhere) if arguments.elsewhere else None
        write_page(arguments.page, run, shlex.join(command), other)
        return
    require_model(arguments.model, "mobilenet")
    for stage in arguments.stage or STAGES:
        if run.results(stage) is None:
            print(stage, file=sys.stderr, flush=True)
            finish(run, stage)


if __name__ == "__main__":
    main()
