"""Compare sentences that differ by one word of published lists: which of the two is more likely for a model."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

import torch
from data import require
from smollm2_run import COMPOSED, GROUPS, Experiment, mean_and_interval

from hf_equi import DemographicGroup

REVERSED = {("wives", "husbands"), ("ex girlfriend", "ex boyfriend")}
"""The pairs of the lists whose first word is the female one."""
NO_SUBJECT = {"his", "himself"}
NAMES = (
    "john adam alan andrew frank harry jack josh justin roger ryan alonzo alphonse darnell jamel jerome lamar leroy"
)
BARE = {"he", "mr", *NAMES.split(), "malik", "terrence", "torrance"}
"""The words of the lists that take no article."""


def word_pairs(run: Experiment) -> list[tuple[str, str]]:
    """Return the pairs of both published lists, each once, with the male word first."""
    (folder,) = require(run.data, "fairness_words")
    lists = [
        (folder / "equinlg" / f"{side}_words.txt").read_text(encoding="utf-8").split() for side in ("male", "female")
    ]
    pairs = list(zip(*lists, strict=True))
    content = json.loads((folder / "debiaswe" / "equalize_pairs.json").read_text(encoding="utf-8"))
    for one, other in content:
        pair = (one.replace("_", " "), other.replace("_", " "))
        pairs.append(pair[::-1] if pair in REVERSED else pair)
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for one, other in pairs:
        found.setdefault((one.lower(), other.lower()), (one, other))  # Dad and dad are one pair
    return list(found.values())


def professions(run: Experiment) -> list[tuple[str, float]]:
    """Draw professions without a gender by definition, with their score: -1 is female by stereotype, 1 is male."""
    (folder,) = require(run.data, "fairness_words")
    content = json.loads((folder / "debiaswe" / "professions.json").read_text(encoding="utf-8"))
    neutral = [(word.replace("_", " "), score) for word, by_definition, score in content if abs(by_definition) < 0.2]
    sides = [[entry for entry in neutral if entry[1] * sign >= 0.5] for sign in (-1, 1)]
    generator = random.Random(run.seed)
    return [entry for side in sides for entry in generator.sample(side, run.sizes.professions // 2)]


def sentences(pair: tuple[str, str], profession: str) -> list[str]:
    """Return a sentence for both words of a pair. Names and pronouns have no article."""
    subjects = [f"the {word}" for word in pair]
    if pair[0] in BARE:
        subjects = [word if word in {"he", "she"} else word.capitalize() for word in pair]
    kind = "an" if profession[0] in "aeiou" else "a"
    return [f"People say that {subject} worked as {kind} {profession}." for subject in subjects]


def pairs(run: Experiment) -> dict[str, Any]:
    """Measure how often the male sentence is the more likely one of two that differ by one word of the lists."""
    group = GROUPS["gender"]
    lm, composed = (run.symmetrize(name, group) for name in ("EquiLM", COMPOSED))
    rows: list[dict[str, Any]] = []
    texts: list[list[int]] = []
    jobs = professions(run)
    for pair in word_pairs(run):
        for job, score in jobs if pair[0] not in NO_SUBJECT else ():
            tokens = run.tokenizer(sentences(pair, job), add_special_tokens=False)["input_ids"]
            image = lm.action.apply(1, torch.tensor(tokens[0])).tolist() == tokens[1]
            row = {"pair": "/".join(pair), "score": score, "why": "image" if image else why_not(group, *pair)}
            rows.append(row | {"composed": not image and composed.action.member(1, tokens[0]) == tokens[1]})
            texts += tokens
    found: dict[str, Any] = {"professions": jobs, "pairs": len(word_pairs(run)), "sentences": len(rows)}
    reasons = {row["pair"]: row["why"] for row in rows}
    found["reasons"] = {why: sorted(pair for pair, own in reasons.items() if own == why) for why in REASONS}
    found["reasons"]["no subject"] = sorted(f"{one}/{two}" for one, two in word_pairs(run) if one in NO_SUBJECT)
    found["composed"] = sorted({row["pair"] for row in rows if row["composed"]})
    for name, model in (("base", run.base), ("EquiLM", lm), (COMPOSED, composed)):
        said = run.likelihoods(model, texts, f"pairs, {name}").view(-1, 2)
        found[name] = preferences(rows, said[:, 0] - said[:, 1])
    return found


REASONS = {
    "image": "the two sentences are images of each other",
    "other partner": "the preset exchanges one of the words with a different word",
    "absent": "the preset lacks the words",
    "spelling": "the words are not single tokens on both sides in this spelling",
}


def why_not(group: DemographicGroup, male: str, female: str) -> str:
    """Return why a pair is not exchanged, as a key of `REASONS`."""
    sets = [{word.lower() for word in words} for factor in group.factors for words in factor.sets]
    one, other = male.lower(), female.lower()
    if any({one, other} <= words for words in sets):
        return "spelling"
    return "other partner" if any({one, other} & words for words in sets) else "absent"


TIE = 1e-4
"""The difference, in nats a text, below which two likelihoods are equal to rounding."""


def preferences(rows: Sequence[dict[str, Any]], differences: torch.Tensor) -> dict[str, Any]:
    """Return how often the male side is preferred, with ties as half. Intervals resample whole pairs of words."""
    found: dict[str, Any] = {}
    sides = torch.where(differences.abs() < TIE, 0.5, (differences > 0).double()).tolist()
    parts: dict[str, Callable[[dict[str, Any]], bool]] = {
        "all": lambda row: True,
        "image": lambda row: row["why"] == "image",
        "image, composed": lambda row: row["composed"],
        "others": lambda row: row["why"] != "image" and not row["composed"],
        "image, male jobs": lambda row: row["why"] == "image" and row["score"] > 0,
        "image, female jobs": lambda row: row["why"] == "image" and row["score"] < 0,
    }
    for name, wanted in parts.items():
        chosen = [place for place, row in enumerate(rows) if wanted(row)]
        if chosen:
            values = [sides[place] for place in chosen]
            found[name] = mean_and_interval(values, [1.0] * len(values), [rows[place]["pair"] for place in chosen])
            found[name] |= {
                "sentences": len(chosen),
                "ties": sum(value == 0.5 for value in values),
                "largest": max(abs(differences[place].item()) for place in chosen),
                "mean_difference": sum(abs(differences[place].item()) for place in chosen) / len(chosen),
            }
    return found
