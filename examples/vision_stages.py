"""The stages of one experiment on moved CIFAR-10, which is an architecture and a seed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from cifar import CifarImages, load_cifar10
from cifar_bases import TEST_SEED, accuracy, base_folder, collate, load_base
from data import write_json
from datasets import Dataset, load_from_disk
from machine import Clock, machine
from safetensors.torch import load_file, save_file
from transformers import Trainer, default_data_collator, set_seed
from vision_methods import GROUPS, NETWORKS, WEIGHED, ZERO_SHOT, file_name, finetune_stage, finetuned_by
from vision_outputs import InMemory, read_features, read_out, run_on, share_right

from hf_equi import EquiForImageClassification, ImageGroup, symmetrize
from hf_equi.training import Phase

QUIET: dict[str, Any] = {
    "use_cpu": True,
    "save_strategy": "no",
    "logging_steps": 50,
    "report_to": [],
    "disable_tqdm": True,
    "remove_unused_columns": False,
}


@dataclass(frozen=True)
class Sizes:
    """How much is measured and trained. Smaller sizes are for trials.

    Args:
        checked: The number of test images for the checks of what should agree.
        weights: The number of training images for the networks that weight members.
        finetune: The number of training images for finetuning.
        shown: The number of test images whose weights are stored.
        steps: The most steps of any phase.
    """

    checked: int = 2000
    weights: int = 10000
    finetune: int = 5000
    shown: int = 20
    steps: int = -1


@dataclass
class Run:
    """One architecture and seed, with its folder.

    Args:
        data: The folder of all data.
        output: The folder of all runs, with the bases of examples/cifar_bases.py.
        architecture: `"resnet"` or `"vit"`.
        seed: The seed of the base, and of everything that is drawn here.
        sizes: How much is measured and trained.
    """

    data: Path
    output: Path
    architecture: str
    seed: int
    sizes: Sizes = Sizes()

    @property
    def folder(self) -> Path:
        """The folder of this run."""
        return base_folder(self.output, self.architecture, self.seed)

    @cached_property
    def parts(self) -> dict[str, CifarImages]:
        """Train, validation and test, all upright."""
        return load_cifar10(self.data, self.bases, self.seed)

    def network(self, transform: str, name: str) -> Path:
        """Return the file of a network that weights members, which the stage `weights` writes."""
        return self.folder / f"weights_{transform}" / f"{file_name(name)}.safetensors"

    def finetuned(self, transform: str, name: str) -> Path:
        """Return the file of the tensors that finetuning changed."""
        return self.folder / finetune_stage(transform) / f"{file_name(name)}.safetensors"

    @property
    def ready(self) -> bool:
        """Whether the base is trained and measured."""
        return (self.folder / "base.json").is_file()

    def results(self, stage: str) -> dict[str, Any] | None:
        """Return the results of a finished stage, or None."""
        path = self.folder / f"{stage}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def progress(self, stage: str) -> dict[str, Any] | None:
        """Return the results of a stage, or those so far if the stage stores them on the way."""
        return self.results(stage) or self.results(f"{stage}_part")

    def work(self, stage: str) -> dict[str, Any]:
        """Run a stage, and return its results."""
        return STAGES[stage](self)

    def finish(self, stage: str) -> None:
        """Run a stage, and write its results all at once."""
        clock = Clock()
        self.folder.mkdir(parents=True, exist_ok=True)
        results = self.work(stage)
        # A stage that resumes counts its own seconds.
        write_json(self.folder / f"{stage}.json", {"seconds": clock.seconds, **results, "machine": machine()})

    @property
    def bases(self) -> Path:
        """The folder of all bases."""
        return self.output

    def group(self, transform: str) -> ImageGroup:
        """Return a group by its name in the tables."""
        return GROUPS[transform]

    def symmetrize(self, transform: str, **settings: Any) -> EquiForImageClassification:
        """Load the base again and make it invariant."""
        base = load_base(self.bases, self.architecture, self.seed).to(memory_format=torch.channels_last)
        if self.architecture == "vit":  # trains twice as fast on a CPU with 65 tokens
            base.set_attn_implementation("eager")
        set_seed(self.seed)  # for the network of a method
        model: EquiForImageClassification = symmetrize(base, self.group(transform), **settings)
        return model

    def weighed(self, transform: str, **settings: Any) -> EquiForImageClassification:
        """Do as `symmetrize`, with the network that the stage `weights` trained if the method has one."""
        model = self.symmetrize(transform, **settings)
        if hasattr(model, "lambda_network"):
            model.lambda_network.load_state_dict(load_file(self.network(transform, NETWORKS[settings["method"]])))
        return model

    def moved_test(self, transform: str) -> CifarImages:
        """Return all test images, each moved by its own element, the same for every architecture, seed and method."""
        return self.parts["test"].moved(transform, TEST_SEED)

    def test_features(self, transform: str) -> Dataset:
        """Return the base's features of the orbits of the moved test images, kept in the folder of the run."""
        folder = self.folder / "features" / transform
        if not folder.is_dir():
            draft = folder.with_name(f"{transform}_part")  # renamed once it is whole
            read_features(self.symmetrize(transform), self.moved_test(transform)).save_to_disk(draft)
            draft.rename(folder)
        return load_from_disk(str(folder)).with_format("torch")


def upright_views(images: CifarImages, transform: str) -> torch.Tensor:
    """Return which member of the orbit of each moved image is upright, `(N,)`."""
    assert images.elements is not None  # drawn once and for all
    views: torch.Tensor = GROUPS[transform].inverses[images.elements]
    return views


def zero_shot(run: Run) -> dict[str, Any]:
    """Measure the base alone and symmetrised, without training."""
    found = {transform: measure_zero_shot(run, transform) for transform in GROUPS}
    return {
        "upright": accuracy(run.symmetrize("rot90").unwrap(), run.parts["test"]),
        "accuracy": {transform: accuracies for transform, (accuracies, _) in found.items()},
        "upright_taken": {transform: taken for transform, (_, taken) in found.items()},
        "checked": run.sizes.checked,
        "checks": {transform: _checks(run, transform, ("equitune", "equizero")) for transform in GROUPS},
    }


def measure_zero_shot(run: Run, transform: str) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Return the accuracies on moved test images, and how often equizero takes the upright view, in per cent."""
    features, images = run.test_features(transform), run.moved_test(transform)
    found: dict[str, dict[str, float]] = {}
    taken: dict[str, float] = {}
    for name, settings in ZERO_SHOT.items():
        out = read_out(run.symmetrize(transform, **settings), features)
        found[name] = {"moved": share_right(out["logits"], images.labels)}
        if name.startswith("equizero"):
            upright = out["chosen_element"] == upright_views(images, transform)
            taken[name] = 100 * upright.double().mean().item()
    return found, taken


def spatial(run: Run) -> dict[str, Any]:
    """Measure the networks of the stage `weights` at the spatial level too."""
    checks = {transform: _checks(run, transform, NETWORKS.values()) for transform in GROUPS}
    return {"checked": run.sizes.checked, "checks": checks}


def _checks(run: Run, transform: str, names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Check, from pixels, which outputs agree on the first test images."""
    first = torch.arange(run.sizes.checked)
    upright, moved = run.parts["test"].select(first), run.moved_test(transform).select(first)
    found: dict[str, dict[str, float]] = {}
    for name in names:
        settings = {**ZERO_SHOT, **{name: settings for name, (settings, _) in WEIGHED.items()}}[name]
        outputs = {
            (level, part): run_on(run.weighed(transform, **settings, level=level), images)["logits"]
            for level in ("features", "spatial")
            for part, images in (("upright", upright), ("moved", moved))
            if level == "features" or part == "moved"
        }
        features, spatial = outputs["features", "moved"], outputs["spatial", "moved"]
        found[name] = {
            "features, upright": share_right(outputs["features", "upright"], upright.labels),
            "features, moved": share_right(features, moved.labels),
            "spatial, moved": share_right(spatial, moved.labels),
            "largest difference, upright and moved": (outputs["features", "upright"] - features).abs().max().item(),
            "largest difference, features and spatial": (features - spatial).abs().max().item(),
        }
        gap = abs(found[name]["features, upright"] - found[name]["features, moved"])
        if gap > 0.05:
            raise SystemExit(f"{name} is not invariant under {transform}: accuracies differ by {gap:.2f} points")
    return found


def weights(run: Run) -> dict[str, Any]:
    """Train the networks that weight the members, on features of a frozen base, and measure them."""
    accuracies: dict[str, dict[str, dict[str, float]]] = {}
    shown: dict[str, list[list[float]]] = {}
    test = run.parts["test"].select(torch.arange(run.sizes.shown))
    for transform in GROUPS:
        images = run.parts["train"].select(torch.arange(run.sizes.weights)).moved(transform, 1000 + run.seed)
        train, found = InMemory(read_features(run.symmetrize(transform), images)), accuracies.setdefault(transform, {})
        for name, (settings, phase) in WEIGHED.items():
            model = run.symmetrize(transform, **settings)
            fit(run, model, phase, train_dataset=train, data_collator=default_data_collator)
            found[name] = measure_weights(run, model, transform)
            save(model.lambda_network.state_dict(), run.network(transform, name))
            if name in NETWORKS.values() and transform == "rot90":
                shown[name] = run_on(model, test)["group_weights"].tolist()
    return {"accuracy": accuracies, "shown": shown}


def save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Store tensors, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def measure_weights(run: Run, model: EquiForImageClassification, transform: str) -> dict[str, float]:
    """Return the accuracy on moved test images of a model with a frozen base, and how it weights upright members."""
    features, images = run.test_features(transform), run.moved_test(transform)
    out = read_out(model, features)
    views = upright_views(images, transform)
    return {"moved": share_right(out["logits"], images.labels), **_of_weights(out["group_weights"], views)}


def _of_weights(found: torch.Tensor, views: torch.Tensor) -> dict[str, float]:
    """Return how weights `(N, 4)` treat the upright members `(N,)`."""
    return {
        "weight_upright": found.gather(1, views[:, None]).mean().item(),
        "largest_elsewhere": 100 * (found.argmax(1) != views).double().mean().item(),
    }


def fit(run: Run, model: EquiForImageClassification, phase: Phase, **data: Any) -> float:
    """Train only what a phase trains, and return the CPU seconds."""
    settings: dict[str, Any] = {"seed": run.seed, **QUIET}
    if run.sizes.steps > 0:
        settings["max_steps"] = run.sizes.steps
    if phase.trains != "lambda":
        settings["bf16"] = True
    if phase.trains in ("all", "canonicalizer"):
        settings.update(lr_scheduler_type="cosine", warmup_steps=20, max_grad_norm=1.0)
    clock = Clock()
    with phase.applied(model.train()):
        Trainer(model=model, args=phase.arguments(run.folder / "trainer", **settings), **data).train()
    model.eval()
    return clock.seconds["cpu"]


def finetune(run: Run, transform: str) -> dict[str, Any]:
    """Train all weights, or those of the last two layers, and measure every method on the same images."""
    work = {
        name: partial(_finetune, run, transform, name, *how) for name, how in finetuned_by(run.architecture).items()
    }
    return one_by_one(run, finetune_stage(transform), work)


def one_by_one(run: Run, stage: str, work: Mapping[str, Callable[[], tuple[float, dict[str, Any]]]]) -> dict[str, Any]:
    """Train and measure the models of a stage, and store the results of each one at once.

    Models that a killed run finished are not trained again, unless it ran on another machine.

    Args:
        run: The run.
        stage: The stage.
        work: By the name of a model, what trains it and returns the CPU seconds and its accuracies.
    """
    kept = f"{stage}_part"
    part = run.results(kept) or {}
    if part.get("machine") != machine():
        part = {"accuracy": {}, "training_seconds": {}, "machine": machine()}
    clock = Clock(part.get("seconds"))
    for name, train in work.items():
        if name not in part["accuracy"]:
            part["training_seconds"][name], part["accuracy"][name] = train()
            part["seconds"] = clock.seconds
            write_json(run.folder / f"{kept}.json", part)
            print(f"  {name}: {part['accuracy'][name]}", file=sys.stderr, flush=True)
    return part


def _finetune(
    run: Run, transform: str, name: str, settings: dict[str, Any], phase: Phase
) -> tuple[float, dict[str, float]]:
    """Finetune with one method, store what changed, and return the CPU seconds and the accuracies."""
    model = run.weighed(transform, **settings)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = run.parts["train"].select(torch.arange(run.sizes.finetune)).shifted()
    if name.startswith("augmentation"):
        images = images.moved(transform, None)
    seconds = fit(run, model, phase, train_dataset=images, data_collator=collate)
    after = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save({n: after[n] for n in after if not torch.equal(after[n], before[n])}, run.finetuned(transform, name))
    return seconds, measure_finetuned(run, transform, model)


def load_weighed(run: Run, transform: str, name: str) -> EquiForImageClassification:
    """Return a model with a frozen base and the network that the stage `weights` trained."""
    settings, _ = WEIGHED[name]
    model = run.symmetrize(transform, **settings)
    model.lambda_network.load_state_dict(load_file(run.network(transform, name)))
    return model


def load_finetuned(run: Run, transform: str, name: str) -> EquiForImageClassification:
    """Return a finetuned model, as the stage that finetunes left it."""
    settings, _ = finetuned_by(run.architecture)[name]
    model = run.weighed(transform, **settings)
    tensors = load_file(run.finetuned(transform, name))
    model.load_state_dict(model.state_dict() | tensors)
    return model


@torch.autocast("cpu", torch.bfloat16)  # as it was trained
def measure_finetuned(run: Run, transform: str, model: EquiForImageClassification) -> dict[str, float]:
    """Return the accuracy on moved test images, and on upright ones if the model is not invariant."""
    images = run.moved_test(transform)
    if model.config.method == "identity":
        return {"moved": accuracy(model, images), "upright": accuracy(model, run.parts["test"])}
    first = torch.arange(run.sizes.checked)
    upright, moved = run_on(model, run.parts["test"].select(first)), run_on(model, images)
    agree = upright["logits"].argmax(-1) == moved["logits"][first].argmax(-1)
    found = {
        "moved": share_right(moved["logits"], images.labels),
        "disagreeing": 100 * (~agree).double().mean().item(),
    }
    if "group_weights" in moved:
        found.update(_of_weights(moved["group_weights"], upright_views(images, transform)))
    return found


STAGES: dict[str, Callable[[Run], dict[str, Any]]] = {
    "zero_shot": zero_shot,
    "weights": weights,
    "spatial": spatial,
    **{finetune_stage(transform): partial(finetune, transform=transform) for transform in GROUPS},
}
