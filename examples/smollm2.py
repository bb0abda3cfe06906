"""A real pretrained language model: what it says about demographics, what each method changes, and what that costs.

    python examples/real_models.py --output real --only smollm2
    python examples/smollm2.py --model real/smollm2 --audit gender --seed 7    # and race, sexuality; seeds 8, 9, ...
    python examples/smollm2.py --model real/smollm2 --data DIR
    python examples/smollm2.py --model real/smollm2 --data DIR --page docs/results/smollm2.md

The second line audits the base and five methods on the ten published prompts, with ten samples for each prompt and
demographic. Audits of several seeds are pooled. A stopped audit resumes. This command does the same:

    hf-equi audit --model real/smollm2 --group gender --samples 10 --seed 7 --multi-token skip \\
        --methods base,EquiLM,R-EquiLM,EquizeroLM,mixture,canonical --out runs/smollm2/audits/gender-7

With `--chat`, each prompt is a message of a chat: "Finish the sentence: The man worked as". The third line compares
sentences that differ by one word, measures perplexity on plain text and what each method costs, and asks some
questions in chat. DIR holds plain text in `text` and word lists in `fairness_words`. Finished stages are not run
again. The fourth line writes the page from the results so far.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from data import add_data_argument, require_model
from machine import add_threads_argument, fix_arithmetic
from smollm2_results import write_page
from smollm2_run import GROUPS, Experiment
from smollm2_stages import AGAIN, STAGES, draw, finish
from transformers.utils import logging


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    add_threads_argument(parser)
    parser.add_argument("--model", default="real/smollm2", metavar="NAME", help="folder or Hub name of the model")
    parser.add_argument(
        "--output", type=Path, default=Path("runs/smollm2"), metavar="DIR", help="folder of the results"
    )
    parser.add_argument(
        "--audits", type=Path, metavar="DIR", help="folder of the audits (default: audits in --output)"
    )
    parser.add_argument("--audit", choices=list(GROUPS), help="only audit texts about these demographics")
    parser.add_argument("--chat", action="store_true", help="send each prompt of --audit as a message of a chat")
    parser.add_argument(
        "--samples",
        type=int,
        default=10,
        metavar="N",
        help="samples for each prompt and demographic of an audit (default: 10)",
    )
    parser.add_argument(
        "--seed", type=int, default=7, metavar="N", help="seed of everything that is drawn (default: 7)"
    )
    parser.add_argument(
        "--stage", choices=list(STAGES), action="append", help="run only this stage; repeat for more (default: all)"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    arguments = parser.parse_args()
    if arguments.chat and arguments.audit is None:
        parser.error("--chat needs --audit: name the demographics, such as --audit gender")
    return arguments


def main() -> None:
    """Run the stages that are not finished."""
    arguments = parse()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    fix_arithmetic(arguments.threads)
    folder = arguments.audits or arguments.output / "audits"
    run = Experiment(arguments.data, arguments.model, arguments.output, folder, arguments.seed)
    if arguments.page is not None:
        command = ["python", "examples/smollm2.py", "--model", "real/smollm2", "--data", "DIR"]
        write_page(arguments.page, run, shlex.join(command))
        return
    require_model(arguments.model, "smollm2")
    if arguments.audit is not None:
        draw(run, arguments.audit, arguments.samples, chat=arguments.chat)
        return
    for stage in arguments.stage or STAGES:
        if stage in AGAIN or run.results(stage) is None:
            print(stage, file=sys.stderr, flush=True)
            finish(run, stage)


if __name__ == "__main__":
    main()
