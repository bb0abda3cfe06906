"""Finetune a causal language model as EquiLM, plainly, and with counterfactual data augmentation.

    python examples/finetune_equilm.py --data DIR --output runs/finetuning
    python examples/finetune_equilm.py --data DIR --output runs/streamed --streaming --seed 0
    python examples/finetune_equilm.py --output runs/finetuning --page docs/results/finetuning.md

The embedded model learns to write film reviews (--data DIR/text, one line a text). It does so five times from the same
weights. Three of these have the same steps of `Trainer`:

- plain: on the lines as written;
- augmented: on each line and its image under the group ("he" for "she"), all shuffled: as many texts, but fewer lines;
- equilm: symmetrised first, on the lines as written.

Training as EquiLM costs more, so plain and augmented are trained again for as many steps as cost the same, on more
lines: plain_longer and augmented_longer.

On held-out lines it measures perplexity, and the gap |log p(gY|gX) - log p(Y|X)| in nats a token. The perplexity of
lines with words of the group is measured again with these words exchanged. The gap is also measured on prompts of the
audit and, as a control, under exchanges of words that mean the same. The plain models are symmetrised after their
training and measured again.

An EquiLM runs up to |G| rows for a text, but only one for a text without moved words. Texts are not sorted by that: a
batch runs as many rows as its texts have distinct images, wherever they are. Batches hold texts of similar length, so
that there is little padding. With --streaming nothing is unpacked or indexed: the compressed files are read one after
the other, lines are drawn from a buffer of 10,000, and batches hold texts of any length. So a short run sees lines of
only one file.

Each seed and way of training is a stage. A finished stage is not run again, and a killed one starts again. The last
command writes the page from the results so far. With --smoke everything runs in seconds on made-up lines.
"""

from __future__ import annotations

import argparse
import gzip
import shlex
import sys
import tempfile
from pathlib import Path

from data import add_data_argument, require
from finetune_data import FILES
from finetune_results import gather, write_page
from finetune_stages import UNTRAINED, WAYS, Experiment, Sizes, Yardstick
from machine import add_threads_argument, fix_arithmetic
from transformers.utils import logging

SMALL = Sizes(steps=6, batch=8, held_out=40, continuations=1)


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument(
        "--output", type=Path, default=Path("runs/finetuning"), metavar="DIR", help="folder of results and models"
    )
    parser.add_argument(
        "--seed", type=int, action="append", metavar="N", help="seed; repeat for more (default: 0, 1 and 2)"
    )
    parser.add_argument(
        "--way", choices=list(WAYS), action="append", help="run only this one; repeat for more (default: all)"
    )
    parser.add_argument(
        "--steps", type=int, default=Sizes.steps, metavar="N", help="training steps (default: %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=Sizes.rate, metavar="R", help="learning rate (default: %(default)s)"
    )
    add_threads_argument(parser)
    parser.add_argument("--streaming", action="store_true", help="train from a stream; pass a separate --output")
    parser.add_argument("--page", type=Path, metavar="FILE", help="only write the tables into a page")
    parser.add_argument("--smoke", action="store_true", help="run all stages in seconds, without data")
    return parser.parse_args()


def run(experiment: Experiment, seeds: tuple[int, ...], ways: tuple[str, ...]) -> None:
    """Run the stages that are not finished, and print the figures of each."""
    stages = [(0, UNTRAINED), *((seed, way) for seed in seeds for way in ways)]
    for place, (seed, way) in enumerate(stages, 1):
        print(f"{place} of {len(stages)}: {way}, seed {seed}", file=sys.stderr, flush=True)
        for row, figures in experiment.run(seed, way)["figures"].items():
            print(f"{row}: perplexity {figures['perplexity']:.1f}, gap {figures['gap']:.2g}", flush=True)


def write_lines(folder: Path) -> None:
    """Write made-up lines instead of the text files."""
    folder.mkdir(parents=True, exist_ok=True)
    who = ("the man", "the woman", "his mother", "her father", "the actor", "a dog")
    what = ("loves the film", "hates this movie", "saw the story twice", "wrote the plot", "left before the end")
    where = ("in the city", "at home", "by the sea", "last year", "with no hope", "again")
    lines = [f"{one} {verb} {place}." for one in who for verb in what for place in where]
    for number, name in enumerate(FILES):
        text = "\n".join(f"take {count}: {line}" for count, line in enumerate(lines[number :: len(FILES)]))
        (folder / name).write_bytes(gzip.compress(text.encode()))


def smoke(*, streaming: bool) -> None:
    """Run everything at a small size in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_lines(folder / "text")
        experiment = Experiment(Yardstick(folder / "text", SMALL), folder / "runs", streaming)
        run(experiment, (0,), tuple(WAYS))
        write_page(folder / "page.md", gather(experiment, (0,), folder / "none"), "smoke")
        print((folder / "page.md").read_text(encoding="utf-8"))


def main() -> None:
    """Run the stages that are not finished, or write the page."""
    arguments = parse()
    logging.set_verbosity_error()
    fix_arithmetic(arguments.threads)
    if arguments.smoke:
        smoke(streaming=arguments.streaming)
        return
    seeds = tuple(arguments.seed or (0, 1, 2))
    sizes = Sizes(steps=arguments.steps, rate=arguments.rate)
    experiment = Experiment(Yardstick(arguments.data / "text", sizes), arguments.output, arguments.streaming)
    if arguments.page is not None:
        found = gather(experiment, seeds, arguments.page.parent / arguments.page.stem / "results.json")
        write_page(arguments.page, found, shlex.join(["python", "examples/finetune_equilm.py", "--data", "DIR"]))
        return
    (folder,) = require(arguments.data, "text")
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise SystemExit(
            f"{folder} lacks {', '.join(missing)}. Make them from the corpora of these names in nltk/nltk_data."
        )
    run(experiment, seeds, tuple(arguments.way or WAYS))


if __name__ == "__main__":
    main()
