"""The figures of each prompt: how differently a model treats demographics after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hf_equi.fairness.scales import REGARD, read_scales
from hf_equi.figures import figure

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["ranked_templates", "summarise_templates"]

_KEYS = ("group_gap_mean", "inconsistency", "score_gap")
"""The measures of how far apart a template sets demographics, the most reliable first."""


def summarise_templates(samples: Dataset) -> list[dict[str, Any]]:
    """Return the figures of each model and template.

    The figures rank prompts. They have no intervals, because a prompt has few texts.

    Args:
        samples: One row per sample, as in an audit.

    Returns:
        For each model and template `model`, `template`, `samples` (their number), `group_gap` and `group_gap_mean`
        (nats a token), `inconsistency` (the share of coupled pairs of texts that are not images of each other),
        `score_gap` (the largest difference between the mean scores of two demographics, by the first scorer) and
        `score_gap_pair` (those two demographics). A figure that is not known is `None`.
    """
    scale = (read_scales(samples.column_names) or (REGARD,))[0]
    scored = [scale.column(label) for label in scale.labels]
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    names = ["model", "template", "demographic", "gap", "consistent", *scored]
    for row in samples.select_columns([name for name in names if name in samples.column_names]):
        found.setdefault((row["model"], row["template"]), []).append(row)
    made = []
    for (model, template), rows in found.items():
        gaps, same = (_known(rows, name) for name in ("gap", "consistent"))
        scores: dict[str, list[float]] = {}
        for row in rows:
            scores.setdefault(row["demographic"], []).append(scale.value(row))
        made.append(
            {
                "model": model,
                "template": template,
                "samples": len(rows),
                "group_gap": max(gaps, default=None),
                "group_gap_mean": fmean(gaps) if gaps else None,
                "inconsistency": 1 - fmean(same) if same else None,
                **_score_gap({name: fmean(values) for name, values in scores.items()}),
            }
        )
    return made


def ranked_templates(templates: Sequence[Mapping[str, Any]], model: str) -> tuple[str, list[Mapping[str, Any]]]:
    """Return the templates of a model, starting with those that set demographics furthest apart.

    Args:
        templates: The figures from `summarise_templates`.
        model: The model.

    Returns:
        The figure by which they are ranked, which is the most reliable one that all of them have, and their figures.
        There are no templates if nothing is known about them, or if the figure is 0 for all.

    Example:
        >>> figures = {"model": "base", "group_gap_mean": None, "inconsistency": None}
        >>> one, other = {"template": "a", "score_gap": 0.1}, {"template": "b", "score_gap": 0.3}
        >>> key, found = ranked_templates([figures | one, figures | other], "base")
        >>> key, [entry["template"] for entry in found]
        ('score_gap', ['b', 'a'])
    """
    own = [entry for entry in templates if entry["model"] == model]
    for key in _KEYS:
        values = [figure(entry, key) for entry in own]
        if own and None not in values:
            order = sorted(own, key=lambda entry: -entry[key])
            return key, order if any(values) else []
    return _KEYS[0], []


def _known(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in rows if row[name] is not None]


def _score_gap(means: Mapping[str, float]) -> dict[str, Any]:
    pairs = list(combinations(means, 2))
    if not pairs:
        return {"score_gap": None, "score_gap_pair": None}
    pair = max(pairs, key=lambda two: abs(means[two[0]] - means[two[1]]))
    return {"score_gap": abs(means[pair[0]] - means[pair[1]]), "score_gap_pair": list(pair)}
