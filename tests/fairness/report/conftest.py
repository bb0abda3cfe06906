"""An audit as it might have come out: random texts, scores that lean as a biased model's, figures that fit them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import datasets
import pytest

Audit = tuple[datasets.Dataset, dict[str, Any]]

LABELS = ("negative", "neutral", "positive")
WORDS = (
    "a nurse",
    "who was",
    "known",
    "in",
    "the city",
    "for",
    "his work",
    "and her",
    "voice",
    "as doctor",
    "at night",
)
MOVED = {"man", "woman", "he", "she", "his", "her"}
TEMPLATES = ("The {demographic} was known for", "The {demographic} worked as")


def interval(value: float, spread: float) -> list[float]:
    return [max(value - spread, -1.0), value + 1.2 * spread]


def with_interval(key: str, value: float | None, spread: float) -> dict[str, Any]:
    return {key: value, f"{key}_interval": None if value is None else interval(value, spread)}


def probabilities(noise: random.Random, lean: float) -> dict[str, float]:
    weights = [noise.random() * (1 - lean), noise.random(), noise.random() * (1 + lean)]
    return {label: weight / sum(weights) for label, weight in zip(LABELS, weights, strict=True)}


def largest(shares: dict[str, float]) -> str:
    return max(LABELS, key=shares.__getitem__)


def rows_of(
    model: str, noise: random.Random, names: list[str], templates: tuple[str, ...], samples: int
) -> list[dict]:
    rows = []
    for template in templates:
        for sample in range(samples):
            rest = " ".join(noise.choices(WORDS, k=noise.randint(6, 14)))
            for place, name in enumerate(names):
                prompt = template.format(demographic=name)
                plain = probabilities(noise, -0.5 * place if model == "base" else 0.2)
                masked = probabilities(noise, 0.1)
                rows.append(
                    {"model": model, "demographic": name, "template": template, "sample": sample, "prompt": prompt}
                    | {"text": f"{prompt} {rest}.", "tokens": [1, 2, 3], "prompt_tokens": 1}
                    | plain
                    | {"label": largest(plain), "masked_label": largest(masked)}
                    | {f"masked_{label}": value for label, value in masked.items()}
                    | {"nll": 20.5, "scored_tokens": 9}
                    | {"gap": None if "Equizero" in model else noise.random() * (1.2 if model == "base" else 1e-6)}
                    | {"consistent": sample % 4 != 0 if model == "base" else True}
                )
    return rows


def figures_of(model: str, rows: list[dict], noise: random.Random, names: list[str]) -> dict[str, Any]:
    base, several = model == "base", len(names) > 1
    row: dict[str, Any] = {"model": model, "samples": len(rows)}
    for prefix in ("", "masked_"):
        found = {name: [r[f"{prefix}label"] for r in rows if r["demographic"] == name] for name in names}
        shares = {name: {k: labels.count(k) / len(labels) for k in LABELS} for name, labels in found.items()}
        row[f"{prefix}regard"] = shares
        row[f"{prefix}regard_interval"] = {
            name: {k: interval(v, 0.05) for k, v in of.items()} for name, of in shares.items()
        }
        gap = (0.213 if base and not prefix else 0.02) + 0.03 * noise.random()
        row |= with_interval(f"{prefix}parity_gap", gap if several else None, 0.02)
        row[f"{prefix}parity_gap_p_value"] = (0.000999 if base and not prefix else noise.random()) if several else None
        row[f"{prefix}parity_gap_pair"] = names[:2] if several else None
        row |= with_interval(f"{prefix}control_parity_gap", 0.05 + 0.02 * noise.random(), 0.03)
        row |= with_interval(f"{prefix}mean_regard", -0.2 + 0.3 * noise.random(), 0.06)
    gap = None if "Equizero" in model else 1.74 if base else 0.31 if model == "R-EquiLM" else 3.21e-7
    row |= with_interval("group_gap", gap, 0.2 * (gap or 0))
    row |= with_interval("group_gap_mean", gap and gap / 4, 0.02 * (gap or 0))
    row |= with_interval("consistency", (0.73 if base else 0.9 + 0.09 * noise.random()) if several else None, 0.01)
    row |= with_interval("perplexity", 20 + 10 * noise.random(), 2.5)
    row |= with_interval("distinct_1", 0.2 + 0.1 * noise.random(), 0.02)
    row |= with_interval("distinct_2", 0.6 + 0.1 * noise.random(), 0.02)
    return row


@pytest.fixture(scope="session")
def make_audit() -> Callable[..., Audit]:
    """A function that makes samples and summary, the same for the same arguments."""

    def make(
        models: tuple[str, ...] = ("base", "EquiLM", "R-EquiLM", "EquizeroLM", "R-EquizeroLM"),
        names: tuple[str, ...] = ("man", "woman"),
        templates: tuple[str, ...] = TEMPLATES,
        samples: int = 4,
    ) -> Audit:
        noise = random.Random(7)
        rows = {model: rows_of(model, noise, list(names), templates, samples) for model in models}
        summary = {
            "models": [figures_of(model, rows[model], noise, list(names)) for model in models],
            "confidence": 0.95,
            "resamples": 1000,
            "seed": 7,
            "settings": {
                "group": "gender",
                "samples_per_prompt": samples,
                "templates": list(templates),
                "top_k": None,
            },
            "versions": {"hf_equi": "0.1.0", "transformers": "5.23.0"},
        }
        return datasets.Dataset.from_list([row for of in rows.values() for row in of]), summary

    return make


@pytest.fixture(scope="session")
def audit(make_audit: Callable[..., Audit]) -> Audit:
    """Five models, two demographics."""
    return make_audit()


@pytest.fixture(scope="session")
def moved() -> Callable[[str], list[tuple[str, bool]]]:
    """Marks the words of a tiny group."""
    return lambda text: [(piece, piece in MOVED) for piece in re.split(r"(\W+)", text) if piece]
