"""Measure the stored CLIP and its λ on all test images, beside what the page states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from clip_data import ZeroShotData
from clip_zero_shot import GROUPS, METHODS, Setting, accuracy, network_file, parse, stem, symmetrized
from reproduce_rows import RESULTS, Row
from weights import WEIGHTS, load_network

SEED = 0
ALLOWED = 0.3  # points; 30 of 10,000 images


def rows(data: Path) -> Iterator[Row]:
    """Measure every method, for both groups.

    Args:
        data: The folder with all data.
    """
    folder = WEIGHTS / "clip"
    model = ["--model", str(folder / "small-clip"), "--name", "small-clip"]
    known = [*model, "--output", str(folder), "--data", str(data), "--lambda-images", "0"]  # nothing is trained
    for transform in GROUPS:
        arguments = parse([*known, "--transform", transform])
        setting = Setting.load(arguments.model[0], ZeroShotData.load(arguments), arguments)
        path = RESULTS / "clip" / f"{stem(arguments)}.json"
        stated = json.loads(path.read_text(encoding="utf-8"))
        place = stated["seeds"].index(SEED)
        if transform == next(iter(GROUPS)):
            yield Row("small CLIP, base, upright", stated["upright"]["base"][place], setting.upright(), ALLOWED)
        orbits = setting.read(setting.data.images, transform, SEED)
        for name in METHODS:
            model = symmetrized(setting.base, setting.group, name)
            if name == "λ-equitune":
                model.lambda_network.load_state_dict(load_network(network_file(arguments, SEED)))
            obtained = accuracy(model, orbits, setting.texts)
            yield Row(f"small CLIP, {transform}: {name}", stated["moved"][name][place], obtained, ALLOWED)
