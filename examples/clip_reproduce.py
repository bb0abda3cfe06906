"""Measure the stored CLIP and its λ on all test images, beside what the page states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clip_data import ZeroShotData
from clip_zero_shot import GROUPS, METHODS, Setting, accuracy, network_file, parse, symmetrized
from reproduce_rows import Row
from weights import WEIGHTS, load_network

RESULTS = Path(__file__).parents[1] / "docs" / "results" / "clip"
SEED = 0
ALLOWED = 0.3  # points; 30 of 10,000 images


def rows(data: Path) -> Iterator[Row]:
    """Measure every method, for both groups.

    Args:
        data: The folder with all data.
    """
    folder = WEIGHTS / "clip"
    known = [
        "--data",
        str(data),
        "--model",
        str(folder / "small-clip"),
        "--output",
        str(folder),
        "--lambda-images",
        "0",
    ]
    for transform in GROUPS:
        arguments = parse([*known, "--transform", transform])
        setting = Setting.load(arguments.model[0], ZeroShotData.load(arguments), arguments)
        path = network_file(arguments, SEED)
        stated = json.loads((RESULTS / f"{path.name.partition('-lambda')[0]}.json").read_text(encoding="utf-8"))
        place = stated["seeds"].index(SEED)
        if transform == next(iter(GROUPS)):
            yield Row("small CLIP, base, upright", stated["upright"]["base"][place], setting.upright(), ALLOWED)
        orbits = setting.read(setting.data.images, transform, SEED)
        for name in METHODS:
            model = symmetrized(setting.base, setting.group, name)
            if name == "λ-equitune":
                model.lambda_network.load_state_dict(load_network(path))
            obtained = accuracy(model, orbits, setting.texts)
            yield Row(f"small CLIP, {transform}: {name}", stated["moved"][name][place], obtained, ALLOWED)
