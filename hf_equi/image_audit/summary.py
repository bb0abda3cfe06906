"""The figures of an audit of images, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_equi.fairness.resampling import Resampling, bootstrap_weights
from hf_equi.figures import Figure
from hf_equi.image_audit.views import View

__all__ = ["FIGURES", "VIEW", "summarise"]

VIEW = "accuracy:"
"""The prefix of the key of the accuracy in a view."""

FIGURES = {
    figure.key: figure
    for figure in (
        Figure("accuracy_upright", "Accuracy upright"),
        Figure("accuracy_turned", "Accuracy turned at random"),
        Figure("upright_gain", "Upright, compared with the first model"),
        Figure("turned_gain", "Turned, compared with the first model"),
        Figure("consistency", "Same answer for all turns"),
        Figure("logit_difference", "Largest logit difference"),
        Figure("logit_difference_mean", "Logit difference, mean"),
        Figure("forwards", "Base forwards per image, at most"),
        Figure("images_per_second", "Images a second"),
    )
}
"""The figures by key, without the accuracies of the single views."""

Floats = NDArray[np.float64]


def summarise(
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    views: Sequence[View],
    forwards: Mapping[str, int],
    plan: Resampling,
) -> list[dict[str, Any]]:
    """Sum up the answers of the models.

    `accuracy_turned` is the accuracy if each picture is moved by an element of the group that is drawn at random. It
    is the mean over all elements, so no draw is needed. Intervals are percentile intervals of the bootstrap over
    pictures. The same pictures are drawn for all models, so a gain over the first model is compared picture by
    picture.

    Args:
        rows: The answers of each model, in the same order of pictures.
        views: The views, upright first.
        forwards: For each model, the number of images that its base reads for one image.
        plan: How to draw.

    Returns:
        A dictionary for each model, with the keys of `FIGURES`, `accuracy:VIEW` for each view, and `KEY_interval` for
        figures that have an interval. An interval is `None` for a single picture, and for the gains of the first
        model.
    """
    inside = [place for place, view in enumerate(views) if view.inside]
    pictures = len(next(iter(rows.values())))
    weights = bootstrap_weights(np.zeros(pictures, dtype=np.intp), plan) / pictures if pictures > 1 else None
    columns = {name: _columns(answers, views, inside) for name, answers in rows.items()}
    first = next(iter(columns.values()))
    models = []
    for name, own in columns.items():
        compared = {
            "upright_gain": own["accuracy_upright"] - first["accuracy_upright"],
            "turned_gain": own["accuracy_turned"] - first["accuracy_turned"],
        }
        entry: dict[str, Any] = {"model": name}
        for key, values in {**own, **compared}.items():
            known = key not in compared or own is not first
            entry[key] = float(values.mean()) if known else None
            drawn = None if weights is None or not known else plan.interval(weights @ values)
            entry[f"{key}_interval"] = drawn
        seconds = sum(row["seconds"] for row in rows[name])
        entry |= {
            "logit_difference": max(row["difference"] for row in rows[name]),
            "forwards": forwards[name],
            "images_per_second": pictures / seconds if seconds else None,
        }
        models.append(entry)
    return models


def _columns(rows: Sequence[Mapping[str, Any]], views: Sequence[View], inside: Sequence[int]) -> dict[str, Floats]:
    """Return the figures of each picture, `(pictures,)`."""
    answers = np.array([row["answers"] for row in rows])
    right = (answers == np.array([row["label"] for row in rows])[:, None]).astype(np.float64)
    return {
        "accuracy_upright": right[:, 0],
        "accuracy_turned": right[:, inside].mean(1),
        **{f"{VIEW}{view.name}": right[:, place] for place, view in enumerate(views)},
        "consistency": (answers[:, inside] == answers[:, :1]).all(1).astype(np.float64),
        "logit_difference_mean": np.array([row["difference"] for row in rows], dtype=np.float64),
    }
