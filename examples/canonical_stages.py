"""The stages of the experiment on canonicalization: for each seed the canonicalizers, then each base.

Letters: N images, G group, F features, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from canonical_data import TurnedImages, turned, turned_once
from canonical_methods import (
    ALONE,
    BY_PRIOR,
    CANONICALIZER_RATE,
    ENERGY,
    FROZEN,
    GROUPS,
    LAMBDA,
    TURNS,
    UNTRAINED,
    finetune_stage,
    finetuned_by,
)
from cifar_bases import RECIPES, TEST_SEED, collate
from imagenet_run import Photos
from machine import samples_a_second
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader
from transformers import AutoModelForImageClassification, default_data_collator, set_seed
from vision_methods import ADAM, file_name
from vision_outputs import BATCH, rows_read, run_on, share_right
from vision_stages import Run, Sizes, fit, one_by_one, save

from hf_equi import EquiForImageClassification, ImageGroup, PixelAction, symmetrize
from hf_equi.canonicalization import FiniteCanonicalizer, ModelEnergy
from hf_equi.canonicalization.finite import best_element
from hf_equi.training import Phase, parameters_of

CANONICALIZERS = "canonicalizers"
"""The place of an architecture in a run that trains canonicalizers, which depend on no base."""
READ = ("upright", "C8", "any")
"""Test images whose views are read. A quarter turn only puts the views of an upright image in another order."""
WHOLE = GROUPS["C8"]


@dataclass(frozen=True)
class CanonicalSizes(Sizes):
    """How much is measured and trained.

    Args:
        timed: The number of images that are timed at once.
        repeats: The number of times that each model is timed.
        checked, weights, finetune, shown, steps:
            As in `Sizes`. Canonicalizers train on as many images as bases.
    """

    checked: int = 200
    finetune: int = 35000
    timed: int = 100
    repeats: int = 5


@dataclass
class CanonicalRun(Run):
    """One base and seed, or the canonicalizers of one seed.

    Args:
        data, output, seed:
            As in `Run`.
        architecture: `"resnet"`, `"vit"` or `"canonicalizers"`.
        sizes: How much is measured and trained.
        bases: The folder of the bases of examples/cifar_bases.py.
    """

    sizes: CanonicalSizes = field(default_factory=CanonicalSizes)
    bases: Path = Path("runs/cifar")

    @property
    def ready(self) -> bool:
        """Whether the base is there, if the run needs one."""
        here = self.architecture == CANONICALIZERS
        return here or (self.bases / self.architecture / f"seed{self.seed}" / "base.json").is_file()

    @property
    def stages(self) -> dict[str, Callable[[Any], dict[str, Any]]]:
        """The stages of this run."""
        return STAGES if self.architecture == CANONICALIZERS else STAGES_OF_BASES

    def work(self, stage: str) -> dict[str, Any]:
        """Run a stage, and return its results."""
        return self.stages[stage](self)

    def group(self, transform: str) -> ImageGroup:
        """Return a group by its name in the tables."""
        return {**GROUPS, **ALONE}[transform]

    @property
    def canonicalizers(self) -> CanonicalRun:
        """The run that trains the canonicalizers of this seed."""
        return CanonicalRun(self.data, self.output, CANONICALIZERS, self.seed, self.sizes, self.bases)

    def file(self, kind: str, name: str, group: str) -> Path:
        """Return the file of the tensors of a model of the tables."""
        return self.folder / kind / f"{file_name(name)}_{group}.safetensors"

    def train_images(self, group: str = "upright", seed: int | None = None, count: int = 0) -> TurnedImages:
        """Return the first training images, turned once and for all, or shifted anew at every visit."""
        first = self.parts["train"].select(torch.arange(count or self.sizes.finetune))
        return turned(first.shifted(), group) if seed is None else turned_once(first, group, seed)

    def test(self, turns: str, count: int | None = None) -> TurnedImages:
        """Return the first test images, or all of them, turned alike for every base, seed and method."""
        images = turned_once(self.parts["test"], turns, TEST_SEED)
        return images if count is None else images.select(torch.arange(count))

    @cached_property
    def views(self) -> dict[str, torch.Tensor]:
        """The base's features of the eight views of all test images, for each way to turn them, `(N, 8, F)`."""
        path = self.folder / "views.safetensors"
        if not path.is_file():
            model, draft = self.symmetrize("C8"), path.with_name("views_part.safetensors")
            save_file({turns: read_views(model, self.test(turns)) for turns in READ}, draft)
            draft.rename(path)
        return load_file(path)

    def orbits(self, group: str, turns: str) -> torch.Tensor:
        """Return the base's features of the views of turned test images, `(N, G, F)`.

        Views by multiples of 90° move pixels, whatever else is done to them. So the views of an image that was turned
        by 90° are those of the upright image in another order, to the bit. And those of C4 are among those of C8.
        """
        members = torch.arange(0, WHOLE.order, WHOLE.order // self.group(group).order)
        if turns in READ:
            return self.views[turns][:, members]
        quarters = (self.test(turns).degrees / 45).round().long()
        order = WHOLE.product[members[None, :], quarters[:, None]]  # (N, G)
        views = self.views["upright"]
        return views.gather(1, order[:, :, None].expand(-1, -1, views.shape[-1]))


@torch.no_grad()
def read_views(model: EquiForImageClassification, images: TurnedImages) -> torch.Tensor:
    """Return the base's features of all views of images, `(N, G, F)`."""
    batches = DataLoader(images, batch_size=BATCH, collate_fn=collate)
    return torch.cat([model.get_orbit_features(batch["pixel_values"]) for batch in batches])


@torch.no_grad()
def logits_of(model: EquiForImageClassification, views: torch.Tensor) -> torch.Tensor:
    """Return the logits `(N, C)` of a model for the features of views `(N, G, F)`."""
    return torch.cat([model(orbit_features=piece).logits for piece in views.split(500)])


# The canonicalizers.


def prior(run: CanonicalRun) -> dict[str, Any]:
    """Train the canonicalizers by the prior alone, and store what they say of all test images."""
    work = {f"{name}, {group}": partial(_by_prior, run, name, group) for group in GROUPS for name in BY_PRIOR}
    return one_by_one(run, "prior", work)


def _by_prior(run: CanonicalRun, name: str, group: str) -> tuple[float, dict[str, Any]]:
    canonicalizer = new_canonicalizer(run, name, group)
    # The base does not run, so any will do.
    base = AutoModelForImageClassification.from_config(RECIPES["resnet"].config)
    settings = {"canonicalizer": canonicalizer, "task_weight": 0.0, "prior_weight": 1.0}
    model = symmetrize(base, GROUPS[group], "canonical", **settings)
    seconds = fit(run, model, BY_PRIOR[name][1], train_dataset=run.train_images(), data_collator=collate)
    save(canonicalizer.state_dict(), run.file("trained", name, group))
    said = {turns: elements_of(canonicalizer.eval(), run.test(turns)) for turns in TURNS}
    save(said, run.file("elements", name, group))
    weights = sum(weight.numel() for weight in canonicalizer.parameters())
    return seconds, {"weights": weights, **{turns: found(run, group, turns, said[turns]) for turns in TURNS}}


def new_canonicalizer(run: CanonicalRun, name: str, group: str) -> FiniteCanonicalizer:
    """Return a canonicalizer with its first weights."""
    set_seed(run.seed)
    return BY_PRIOR[name][0](GROUPS[group])


def load_canonicalizer(run: CanonicalRun, name: str, group: str) -> FiniteCanonicalizer:
    """Return a canonicalizer that the stage `prior` trained."""
    made = new_canonicalizer(run, name, group)
    made.load_state_dict(stored(run.canonicalizers.file("trained", name, group)))
    return made.eval()


@torch.no_grad()
def elements_of(canonicalizer: FiniteCanonicalizer, images: TurnedImages) -> torch.Tensor:
    """Return the elements by which images are turned, `(N,)`, in the eyes of a canonicalizer."""
    action = PixelAction(canonicalizer.group)
    batches = (batch["pixel_values"] for batch in DataLoader(images, batch_size=BATCH, collate_fn=collate))
    return torch.cat([best_element(canonicalizer.scores(x), action, x) for x in batches])


def stored(path: Path) -> dict[str, torch.Tensor]:
    """Return the tensors that an earlier stage stored."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing: first run the stages before this one, in the order of --help")
    return load_file(path)


def found(run: CanonicalRun, group: str, turns: str, elements: torch.Tensor) -> float:
    """Return how many test images are upright to half a step of the group once they are turned back, in per cent."""
    degrees = run.test(turns).degrees
    left = (degrees - GROUPS[group].angles[elements] + 180) % 360 - 180
    return 100 * (left.abs() <= 180 / GROUPS[group].order + 1e-9).double().mean().item()


# Bases as they are.


def frozen(run: CanonicalRun) -> dict[str, Any]:
    """Measure all that leaves the base as it is, and train λ."""
    seconds = {f"{LAMBDA}, {group}": _train_lambda(run, group) for group in GROUPS}
    names = [("base", "none"), *((name, group) for group in GROUPS for name in FROZEN)]
    labels = run.parts["test"].labels
    accuracy = {
        f"{name}, {group}": {turns: share_right(answers(run, name, group, turns), labels) for turns in TURNS}
        for name, group in names
    }
    return {"accuracy": accuracy, "training_seconds": seconds}


def _train_lambda(run: CanonicalRun, group: str) -> float:
    """Train the network that weights views, on features of turned images, and return the CPU seconds."""
    model = run.symmetrize(group, method="lambda")
    images = run.train_images(group, 1000 + run.seed, run.sizes.weights)
    views = Photos(read_views(model, images), images.labels)
    seconds = fit(run, model, ADAM, train_dataset=views, data_collator=default_data_collator)
    save(model.lambda_network.state_dict(), run.file("trained", LAMBDA, group))
    return seconds


def answers(run: CanonicalRun, name: str, group: str, turns: str) -> torch.Tensor:
    """Return the logits of a model with the base as it is for all test images, `(N, C)`, from features of views."""
    views, alone = run.orbits(group, turns), run.symmetrize("none")
    if name in BY_PRIOR:
        said = stored(run.canonicalizers.file("elements", name, group))[turns]
        return logits_of(alone, take(views, GROUPS[group].inverse(said)))
    if name == ENERGY:
        every = logits_of(alone, views.flatten(0, 1)[:, None]).view(*views.shape[:2], -1)  # (N, G, C)
        return take(every, every.logsumexp(-1).argmax(1)).squeeze(1)
    return logits_of(alone if group == "none" else load(run, name, group), views)


def take(values: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Return the value of one member of each orbit: `(N, G, F)` to `(N, 1, F)`."""
    return values.gather(1, members[:, None, None].expand(-1, 1, values.shape[-1]))


# Bases that learn.


def finetune(run: CanonicalRun, group: str) -> dict[str, Any]:
    """Finetune with every method on the same images."""
    work = {name: partial(_finetune, run, name, group, *how) for name, how in finetuned_by(group).items()}
    return one_by_one(run, finetune_stage(group), work)


def _finetune(
    run: CanonicalRun, name: str, group: str, settings: dict[str, Any], phase: Phase
) -> tuple[float, dict[str, float]]:
    """Finetune with one method, store what changed, and return the CPU seconds and the accuracies."""
    model = run.symmetrize(group, **settings)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = run.train_images(group if name == "augmentation" else "upright")
    more = {"optimizers": (two_rates(model, phase), None)} if settings["method"] == "canonical" else {}
    seconds = fit(run, model, phase, train_dataset=images, data_collator=collate, **more)
    after = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save({n: after[n] for n in after if not torch.equal(after[n], before[n])}, run.file("trained", name, group))
    return seconds, measure(run, load(run, name, group), group)


def two_rates(model: EquiForImageClassification, phase: Phase) -> torch.optim.Optimizer:
    """Return an optimizer in which the canonicalizer has a rate of its own."""
    rates = {"canonicalizer": CANONICALIZER_RATE, "base": phase.learning_rate}
    groups = [{"params": parameters_of(model, part), "lr": rate} for part, rate in rates.items()]
    return torch.optim.AdamW(groups, weight_decay=0.0)


def measure(run: CanonicalRun, model: EquiForImageClassification, group: str) -> dict[str, float]:
    """Return the accuracy on all test images however they are turned, and how many turns were found, in per cent."""
    accuracies: dict[str, float] = {}
    for turns in TURNS:
        out = run_on(model, run.test(turns))
        accuracies[turns] = share_right(out["logits"], run.parts["test"].labels)
        if "canonical_element" in out:
            accuracies[f"{turns}, turn found"] = found(run, group, turns, out["canonical_element"])
    return accuracies


# All models, from pixels.


def load(run: CanonicalRun, name: str, group: str) -> EquiForImageClassification:
    """Return a model of the tables as its stage left it, in single precision."""
    if name in finetuned_by(group):
        model = run.symmetrize(group, **finetuned_by(group)[name][0])
        model.load_state_dict(model.state_dict() | stored(run.file("trained", name, group)))
    elif name == LAMBDA:
        model = run.symmetrize(group, method="lambda")
        model.lambda_network.load_state_dict(stored(run.file("trained", name, group)))
    elif name in UNTRAINED:
        model = run.symmetrize(group, **UNTRAINED[name])
    elif name in BY_PRIOR or name == ENERGY:
        poses = ModelEnergy(GROUPS[group]) if name == ENERGY else load_canonicalizer(run, name, group)
        model = run.symmetrize(group, method="canonical", canonicalizer=poses)
    else:
        model = run.symmetrize("none")
    return model.eval()


def checks(run: CanonicalRun) -> dict[str, Any]:
    """Check from pixels that the models with the base as it is answer what was found from features of views."""
    differing: dict[str, dict[str, float]] = {}
    for group in GROUPS:
        for name in FROZEN:
            model, own = load(run, name, group), differing.setdefault(f"{name}, {group}", {})
            for turns in ("C4", "any"):
                said = run_on(model, run.test(turns, run.sizes.checked))["logits"].argmax(-1)
                expected = answers(run, name, group, turns)[: run.sizes.checked].argmax(-1)
                own[turns] = 100 * (said != expected).double().mean().item()
    return {"checked": run.sizes.checked, "differing": differing}


@torch.no_grad()
def speed(run: CanonicalRun) -> dict[str, Any]:
    """Measure images a second of CPU time from pixels, taking turns, and count what the base reads."""
    names = [("base", "none"), *((name, group) for group in GROUPS for name in FROZEN)]
    models = {f"{name}, {group}": load(run, name, group) for name, group in names}
    images = next(iter(DataLoader(run.test("any"), batch_size=run.sizes.timed, collate_fn=collate)))["pixel_values"]
    rates = samples_a_second({n: partial(one, images) for n, one in models.items()}, len(images), run.sizes.repeats)
    return {
        "timed": run.sizes.timed,
        "forwards": {name: rows_read(model, images) / len(images) for name, model in models.items()},
        "rates": rates,
    }


STAGES: dict[str, Callable[[CanonicalRun], dict[str, Any]]] = {"prior": prior}
STAGES_OF_BASES: dict[str, Callable[[CanonicalRun], dict[str, Any]]] = {
    "frozen": frozen,
    "checks": checks,
    "speed": speed,
    **{finetune_stage(group): partial(finetune, group=group) for group in (*ALONE, *GROUPS)},
}
