"""A canonicalizer for turned ImageNet photos, trained by the prior alone, beside methods that read all four views."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import torch
from cifar import load_cifar10
from cifar_bases import collate
from data import require
from imagenet_run import GROUPS, Experiment, base_right, halves, largest, over_splits, positions, right
from machine import samples_a_second
from transformers import set_seed
from vision_outputs import rows_read
from vision_stages import fit, save

from hf_equi import EquiForImageClassification, ImageGroup, symmetrize
from hf_equi.canonicalization import GroupConvolution, ModelEnergy
from hf_equi.training import Phase

GROUP = GROUPS["turned"]
SIDE = 32  # the network sees photos as small as images of CIFAR-10
ON_SMALL = Phase("canonicalizer", "canonicalizer", 1e-2, epochs=4, batch_size=64, optimizer="adamw_torch")
ON_PHOTOS = Phase("photos", "canonicalizer", 1e-3, epochs=10, batch_size=32, optimizer="adamw_torch")
TRAINED_ON = ("CIFAR-10", "CIFAR-10, then photos")
BESIDE = ("equizero", "equizero, entropy")


class Unlabelled(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
    """Photos as a model reads them, `(N, 3, H, W)`, without their classes."""

    def __init__(self, pixels: torch.Tensor) -> None:
        self.pixels = pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """Return one photo."""
        return {"pixel_values": self.pixels[index]}


def canonical(run: Experiment) -> dict[str, Any]:
    """Train canonicalizers on upright images without classes, and test them on the photos of the other halves.

    One learns from CIFAR-10 alone. For each split, a copy of it goes on with the photos of the training half.
    """
    splits, alone = halves(run), base_right(run)[:, positions(GROUP)]  # (N, 4)
    model, seconds = on_small_images(run)
    small = {name: tensor.clone() for name, tensor in model.select_network.state_dict().items()}
    pixels = torch.cat([run.pixels(run.rows[start : start + 50]) for start in range(0, len(run.rows), 50)])
    said: dict[str, list[torch.Tensor]] = {name: [] for name in TRAINED_ON}
    spent = 0.0
    for number, (train, _) in enumerate(splits):
        print(f"  photos of split {number + 1}", file=sys.stderr, flush=True)
        model.select_network.load_state_dict(small)
        said["CIFAR-10"].append(poses_of(model, pixels))
        spent += fit(run, model, ON_PHOTOS, train_dataset=Unlabelled(pixels[train]))
        said["CIFAR-10, then photos"].append(poses_of(model, pixels))
        if number == 0:
            save(model.select_network.state_dict(), run.folder / "turned_canonicalizer.safetensors")
            checked = _agreement(run, as_stored(run, model), pixels, alone)
    found: dict[str, Any] = {"base, upright": over_splits(alone[:, 0], splits)}
    found["base"] = over_splits(alone.mean(1), splits)
    for name in BESIDE:
        hits, out = right(run, run.symmetrize(name, GROUP), run.orbits(GROUP))
        found[name] = over_splits(hits, splits) | {"upright": _share_upright(out.chosen_element, splits)}
    found["energy"] = _energy(run, alone, splits)
    for name, poses in said.items():
        every = torch.stack(poses)  # (splits, N)
        hits = torch.stack([_taken(alone, GROUP.inverse(own)) for own in every])
        found[name] = over_splits(hits, splits) | {"upright": _share_upright(every, splits)}
    return {
        "turned": found,
        "training_seconds": {"CIFAR-10": seconds, "photos, a split": spent / len(splits)},
        "weights": sum(weight.numel() for weight in model.select_network.parameters()),
        "checked": checked,
        **_speed(run, as_stored(run, model)),
    }


def on_small_images(run: Experiment) -> tuple[EquiForImageClassification, float]:
    """Return the classifier with a canonicalizer that learnt from CIFAR-10, and the CPU seconds of its training."""
    require(run.data, "cifar10")
    set_seed(run.seed)
    settings = {"canonicalizer": GroupConvolution(GROUP, resize=SIDE), "task_weight": 0.0, "prior_weight": 1.0}
    model: EquiForImageClassification = symmetrize(run.base, GROUP, "canonical", **settings)
    images = load_cifar10(run.data, run.folder, run.seed, validation=0)["train"].select(torch.arange(run.sizes.small))
    images = images.normalised(run.processor.image_mean, run.processor.image_std).shifted()
    return model, fit(run, model, ON_SMALL, train_dataset=images, data_collator=collate)


def as_stored(run: Experiment, model: EquiForImageClassification) -> EquiForImageClassification:
    """Return a model of the same weights in single precision. `Trainer` leaves the one in memory in bfloat16."""
    network = model.select_network
    stored: EquiForImageClassification = symmetrize(run.base, GROUP, "canonical", canonicalizer=network)
    return stored.eval()


@torch.no_grad()
def poses_of(model: EquiForImageClassification, pixels: torch.Tensor) -> torch.Tensor:
    """Return the turns of photos in the eyes of the canonicalizer, `(N,)`."""
    return torch.cat([model.select_network.scores(piece).argmax(1) for piece in pixels.split(50)])


def _taken(values: torch.Tensor, members: torch.Tensor) -> torch.Tensor:
    """Return the values of one member of each orbit: `(N, 4)` to `(N,)`."""
    return values.gather(1, members[:, None]).squeeze(1)


def _share_upright(elements: torch.Tensor, splits: Any) -> float:
    """Return for how many photos of the test halves a method takes the upright view, in per cent."""
    share: float = over_splits((elements == 0).double(), splits)["mean"]
    return share


@torch.no_grad()
def _energy(run: Experiment, alone: torch.Tensor, splits: Any) -> dict[str, Any]:
    """Measure the energy of the base, from the features of all views."""
    model, views = symmetrize(run.base, ImageGroup.trivial()).eval(), run.orbits(GROUP)
    every = torch.stack([model(orbit_features=view[:, None]).logits for view in views.unbind(1)], 1)
    members = every.logsumexp(-1).argmax(1)
    return over_splits(_taken(alone, members), splits) | {"upright": _share_upright(members, splits)}


@torch.no_grad()
def _agreement(
    run: Experiment, model: EquiForImageClassification, pixels: torch.Tensor, alone: torch.Tensor
) -> dict[str, Any]:
    """Check from pixels that the model answers what was found from features, and answers turned photos alike."""
    first = run.rows[: run.sizes.checked]
    logits = model(pixel_values=run.pixels(first)).logits
    turned = model(pixel_values=run.pixels(first, turns=1)).logits
    hits = (logits.argmax(-1) == run.labels[: len(first)]).double()
    expected = _taken(alone, GROUP.inverse(poses_of(model, pixels)))[: len(first)]
    return {
        "photos": len(first),
        "differing": int((hits != expected).sum()),
        "turned_photo": largest(turned, logits),
    }


@torch.no_grad()
def _speed(run: Experiment, model: EquiForImageClassification) -> dict[str, Any]:
    """Measure photos a second of CPU time, taking turns, and count what the base reads."""
    energy = symmetrize(run.base, GROUP, "canonical", canonicalizer=ModelEnergy(GROUP)).eval()
    alone, equizero = symmetrize(run.base, ImageGroup.trivial()).eval(), run.symmetrize("equizero", GROUP)
    models = {"base": alone, "equizero": equizero, "energy": energy, "canonicalizer": model}
    rates: dict[str, Any] = {name: {} for name in models}
    for batch in run.sizes.batches:
        images = run.pixels(run.rows[:batch])
        timed = {name: partial(one, images) for name, one in models.items()}
        for name, rate in samples_a_second(timed, batch, run.sizes.repeats).items():
            rates[name][str(batch)] = rate
    forwards = {name: rows_read(one, images) / len(images) for name, one in models.items()}
    return {"forwards": forwards, "rates": rates}
