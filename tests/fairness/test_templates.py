"""The figures of each prompt, by hand, and their order."""

from __future__ import annotations

import pytest
from datasets import Dataset

from hf_equi.fairness.templates import ranked_templates, summarise_templates

ROWS = [  # template, demographic, gap, consistent, negative, positive
    ("a", "man", 0.5, 0.0, 0.0, 1.0),
    ("a", "woman", 1.5, 0.0, 0.5, 0.5),
    ("b", "man", 0.25, 1.0, 0.0, 0.5),
    ("b", "woman", 0.25, 1.0, 0.0, 0.25),
]
NAMES = ("template", "demographic", "gap", "consistent", "negative", "positive")


def samples(**changed: object) -> Dataset:
    made = [{"model": "base", "neutral": 0.0, "label": "", **dict(zip(NAMES, row, strict=True))} for row in ROWS]
    return Dataset.from_list([{**row, **changed} for row in made])


def test_figures_by_hand() -> None:
    one, other = summarise_templates(samples())
    assert one == {
        "model": "base",
        "template": "a",
        "samples": 2,
        "group_gap": 1.5,
        "group_gap_mean": 1.0,
        "inconsistency": 1.0,
        "score_gap": 1.0,
        "score_gap_pair": ["man", "woman"],
    }
    assert (other["group_gap_mean"], other["inconsistency"], other["score_gap"]) == (0.25, 0.0, 0.25)


def test_the_surest_figure_that_all_have_ranks_them() -> None:
    key, found = ranked_templates(summarise_templates(samples()), "base")
    assert (key, [entry["template"] for entry in found]) == ("group_gap_mean", ["a", "b"])
    key, found = ranked_templates(summarise_templates(samples(gap=None)), "base")
    assert (key, found[0]["template"]) == ("inconsistency", "a")
    key, found = ranked_templates(summarise_templates(samples(gap=None, consistent=None)), "base")
    assert (key, found[0]["score_gap"]) == ("score_gap", 1.0)


@pytest.mark.parametrize("changed", [{"gap": 0.0}, {"gap": None, "consistent": None, "demographic": "man"}])
def test_nothing_is_ranked_where_nothing_differs_or_is_known(changed: dict[str, object]) -> None:
    assert ranked_templates(summarise_templates(samples(**changed)), "base")[1] == []
    assert ranked_templates([], "base")[1] == []


def test_a_label_is_compared_by_its_probability() -> None:
    made = samples().rename_columns({"negative": "toxic:P(toxic)", "positive": "toxic:P(not toxic)"})
    one, other = summarise_templates(made.remove_columns(["label", "neutral"]))
    assert (one["score_gap"], other["score_gap"]) == (0.5, 0.0)
