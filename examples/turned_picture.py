"""Ask an image classifier about a picture in its four turns, alone and symmetrised, and draw the answers.

    python examples/real_models.py --output real --only mobilenet
    python examples/turned_picture.py --model real/mobilenet --output turned.png

The picture is a balloon drawn by examples/imagenet_pictures.py. Use --picture for your own. Any image classifier of
transformers will do.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

import torch
from data import require_model
from imagenet_pictures import pictures
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from transformers import AutoImageProcessor, AutoModelForImageClassification
from transformers.utils import logging

from hf_equi import ImageGroup, symmetric_processor, symmetrize

GROUP = ImageGroup.rotations(4)
DRAWN = "balloon"


def parse() -> argparse.Namespace:
    """Read the command line."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", default="real/mobilenet", metavar="NAME", help="folder or Hub name of the classifier"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help=f"your own picture (default: the drawn {DRAWN})")
    parser.add_argument(
        "--method", default="equizero", metavar="NAME", help="a method of hf_equi.symmetrize (default: equizero)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("turned.png"),
        metavar="FILE",
        help="file of the plot (default: turned.png)",
    )
    return parser.parse_args()


def read(path: Path) -> Image.Image:
    """Read a picture, upright as its camera says."""
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


@torch.no_grad()
def ask(model: Any, processor: Any, turned: list[Image.Image]) -> list[tuple[str, float]]:
    """Return the classifier's answer for each picture, and how sure it is."""
    shares = model(**processor(turned, return_tensors="pt")).logits.softmax(-1)
    sure, classes = shares.max(-1)
    names = [model.config.id2label[int(index)].split(",")[0] for index in classes]
    return list(zip(names, sure.tolist(), strict=True))


def draw(turned: list[Image.Image], answers: dict[str, list[tuple[str, float]]], path: Path) -> None:
    """Draw the pictures, with the answers of each model below."""
    figure = Figure(figsize=(2.4 * len(turned), 3.2), layout="constrained")
    for place, (axes, picture) in enumerate(zip(figure.subplots(1, len(turned)), turned, strict=True)):
        axes.imshow(picture)
        axes.set(xticks=[], yticks=[])
        lines = [f"{name}: {said[place][0]} {said[place][1]:.2f}" for name, said in answers.items()]
        axes.set_xlabel("\n".join(textwrap.fill(line, 28) for line in lines))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, bbox_inches="tight")


def main() -> None:
    """Print the answers of both models for each turn, and draw them."""
    arguments = parse()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    require_model(arguments.model, "mobilenet")
    try:
        picture = pictures()[DRAWN] if arguments.picture is None else read(arguments.picture)
        processor = symmetric_processor(AutoImageProcessor.from_pretrained(arguments.model), GROUP)
        base = AutoModelForImageClassification.from_pretrained(arguments.model).eval()
        models = {"model": base, "wrapped": symmetrize(base, GROUP, arguments.method)}
    except (OSError, ValueError) as error:
        sys.exit(f"turned_picture.py: error: {error}")
    turned = [picture.rotate(90 * turns, expand=True) for turns in range(GROUP.order)]
    answers = {name: ask(model, processor, turned) for name, model in models.items()}
    print(f"{'':<8}{'the model':<28}{'wrapped':<28}".rstrip())
    for place, (base_says, wrapped_says) in enumerate(zip(*answers.values(), strict=True)):
        cells = [f"{name} {sure:.2f}" for name, sure in (base_says, wrapped_says)]
        print(f"{90 * place:>3}°    {cells[0]:<28}{cells[1]}")
    draw(turned, answers, arguments.output)
    print(f"drawn: {arguments.output}")


if __name__ == "__main__":
    main()
