"""The stages of the experiment on turned and mirrored ImageNet photos. Features are computed once for all methods."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from data import write_json
from imagenet_canonical import canonical
from imagenet_processors import processors
from imagenet_run import (
    GROUPS,
    TRAINED,
    WHOLE,
    ZERO_SHOT,
    Experiment,
    Photos,
    base_right,
    halves,
    largest,
    over_splits,
    positions,
    right,
    share,
)
from machine import Clock, machine, progress, samples_a_second
from safetensors.torch import save_file
from transformers import AutoImageProcessor, default_data_collator
from vision_stages import fit

from hf_equi import symmetrize
from hf_equi.training import Phase

BESIDE = ("equitune, features", "equitune, probabilities", "equizero", "equizero, entropy")
"""The methods that the trained ones are compared with, on the same photos."""
PHASE = Phase("lambda", "lambda", 1e-3, max_steps=300, batch_size=32, optimizer="adamw_torch")


def read_features(run: Experiment) -> dict[str, Any]:
    """Run the base once on each photo in each position."""
    model = run.symmetrize("equitune, features", WHOLE)
    run.folder.mkdir(parents=True, exist_ok=True)
    pieces = [run.rows[start : start + 10] for start in range(0, len(run.rows), 10)]
    with torch.no_grad():
        found = [
            model.get_orbit_features(run.pixels(piece)) for piece in progress(pieces, "Photos in eight positions")
        ]
    save_file({"features": torch.cat(found)}, run.folder / "features.safetensors")
    parameters = sum(parameter.numel() for parameter in model.base.parameters())
    return {"photos": len(run.rows), "parameters": parameters, "classes": model.config.num_labels}


def zero_shot(run: Experiment) -> dict[str, Any]:
    """Measure the base alone and symmetrised, without training."""
    alone = base_right(run)
    found: dict[str, Any] = {"upright": share(alone[:, 0]), "positions": {}, "groups": {}}
    found["positions"] = {name: share(alone[:, place]) for place, name in enumerate(WHOLE.names)}
    for title, group in GROUPS.items():
        moved = alone[:, positions(group)].mean(1)
        entries = {"base": {"accuracy": share(moved)}}
        for name in ZERO_SHOT:
            hits, outputs = right(run, run.symmetrize(name, group), run.orbits(group))
            entries[name] = {"accuracy": share(hits), "over_base": share(hits - moved)}
            entries[name]["below_upright"] = share(hits - alone[:, 0])
            if name.startswith("equizero"):
                entries[name]["upright_taken"] = share((outputs.chosen_element == 0).double())
        found["groups"][title] = entries
    return found


def trained(run: Experiment) -> dict[str, Any]:
    """Train λ and attention on half of the photos, and test all methods on the other half."""
    alone, splits = base_right(run), halves(run)
    found: dict[str, Any] = {}
    for title, group in GROUPS.items():
        orbits, moved = run.orbits(group), alone[:, positions(group)].mean(1)
        hits = {name: right(run, run.symmetrize(name, group), orbits)[0] for name in BESIDE}
        entries = {"base": over_splits(moved, splits)}
        entries |= {name: over_splits(values, splits) for name, values in hits.items()}
        for name in TRAINED:
            per_split, kept = [], []
            for number, (train, _) in enumerate(splits):
                print(f"  {title}: {name}, split {number + 1}", file=sys.stderr, flush=True)
                model = run.symmetrize(name, group, run.seed + number)
                fit(run, model, PHASE, train_dataset=Photos(orbits[train], run.labels[train]),
                    data_collator=default_data_collator)  # fmt: skip
                values, outputs = right(run, model, orbits)
                per_split.append(values)
                kept.append(outputs.group_weights)
                if number == 0:
                    save_file(model.lambda_network.state_dict(), network_file(run, title, name))
            entries[name] = over_splits(torch.stack(per_split), splits)
            entries[name]["weight_upright"] = float(torch.stack(kept)[:, :, 0].mean())
        found[title] = entries
    return found


def network_file(run: Experiment, title: str, name: str) -> Path:
    """Return the file of the network of the first split."""
    return run.folder / f"{title.replace(' ', '_')}_{TRAINED[name]['method']}.safetensors"


@torch.no_grad()
def checks(run: Experiment) -> dict[str, Any]:
    """Check what should agree, on some photos: turned with upright photos, the spatial with the features level."""
    rows, group = run.rows[: run.sizes.checked], GROUPS["turned"]
    plain = AutoImageProcessor.from_pretrained(run.model, backend="pil")
    upright, turned = run.pixels(rows), run.pixels(rows, turns=1)
    features = run.symmetrize("equitune, features", group)
    spatial = symmetrize(run.base, group, "equitune", level="spatial").eval()
    said = {name: model(pixel_values=upright).logits for name, model in (("f", features), ("s", spatial))}
    found = {
        "photos": len(rows),
        "turned_photo": largest(features(pixel_values=turned).logits, said["f"]),
        "turned_photo_spatial": largest(spatial(pixel_values=turned).logits, said["s"]),
        "spatial_and_features": largest(said["s"], said["f"]),
        "spatial_right": 100 * (said["s"].argmax(-1) == run.labels[: len(rows)]).double().mean().item(),
        "features_right": 100 * (said["f"].argmax(-1) == run.labels[: len(rows)]).double().mean().item(),
    }
    run.processor, kept = plain, run.processor
    usual = [features(pixel_values=run.pixels(rows, turns=turns)).logits for turns in (0, 1)]
    run.processor = kept
    return {**found, "turned_photo_usual_processor": largest(*usual)}


@torch.no_grad()
def speed(run: Experiment) -> dict[str, Any]:
    """Measure images per CPU second, and compare with a loop over the turns and with all turns at once."""
    group, base = GROUPS["turned"], run.base
    models = {name: run.symmetrize(name, group) for name in ("equitune, features", "equizero", *TRAINED)}
    ways: dict[str, Callable[[torch.Tensor], Any]] = {
        "base, upright alone": lambda images: base(pixel_values=images).logits,
        "a loop over four turns": lambda images: torch.stack(
            [base(pixel_values=images.rot90(k, (2, 3))).logits for k in range(4)]
        ).mean(0),
        "four turns at once": lambda images: base(
            pixel_values=torch.cat([images.rot90(k, (2, 3)) for k in range(4)])
        ).logits.unflatten(0, (4, -1)).mean(0),
        **{
            name: lambda images, model=model: model(pixel_values=images).logits  # type: ignore[misc]
            for name, model in models.items()
        },
    }  # fmt: skip
    found: dict[str, Any] = {name: {} for name in ways}
    for batch in run.sizes.batches:
        images = run.pixels(run.rows[:batch])
        timed = {name: partial(way, images) for name, way in ways.items()}
        for name, rates in samples_a_second(timed, batch, run.sizes.repeats).items():
            found[name][str(batch)] = rates
    return {"threads": torch.get_num_threads(), "ways": found}


STAGES: dict[str, Callable[[Experiment], dict[str, Any]]] = {
    "features": read_features,
    "zero_shot": zero_shot,
    "checks": checks,
    "processors": processors,
    "trained": trained,
    "speed": speed,
    "canonical": canonical,
}


def finish(run: Experiment, stage: str) -> None:
    """Run a stage, and write its results all at once."""
    clock = Clock()
    results = STAGES[stage](run)
    write_json(run.folder / f"{stage}.json", {**results, "machine": machine(), "seconds": clock.seconds})
