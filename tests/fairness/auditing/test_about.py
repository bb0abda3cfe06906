"""What a report says of models and scorers."""

from __future__ import annotations

from pathlib import Path

from small_classifiers import classifier
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.fairness.auditing.about import describe_models, describe_scorers
from hf_equi.fairness.auditing.blocks import make_blocks
from hf_equi.fairness.auditing.scoring import name_scorers
from hf_equi.fairness.auditing.subjects import make_subjects
from hf_equi.generation.scorers import LabelScorer, RegardScorer


def test_models_are_described_by_their_base_and_what_a_text_costs(tmp_path: Path) -> None:
    lm = {
        name: hf_equi.symmetrize(base_model(), GENDER, name, tokenizer=tokenizer()) for name in ("equitune", "mixture")
    }
    lm["equitune"].config.base_name, lm["equitune"].config.base_revision = "me/lm", "0" * 40
    models = {"base": base_model(), **lm}
    found = describe_models(
        make_subjects(models, GENDER, tokenizer(), make_blocks(["the {demographic}"], GENDER, tokenizer()), 3)
    )
    assert {name: one["rows"] for name, one in found.items()} == {"base": 1, "equitune": 2, "mixture": 1}
    assert (found["equitune"]["source"], found["equitune"]["revision"]) == ("me/lm", "0" * 40)
    assert found["base"] == {
        "source": type(base_model()).__name__,
        "revision": None,
        "parameters": base_model().num_parameters(),
        "rows": 1,
        "scores": False,
        "units": [],
    }


def test_scorers_are_described_without_the_place_where_they_lie(tmp_path: Path) -> None:
    classifier().save_pretrained(tmp_path / "mine")
    tokenizer().save_pretrained(tmp_path / "mine")
    scorers = [RegardScorer("demo"), LabelScorer(str(tmp_path / "mine"), "negative")]
    found = describe_scorers(name_scorers(scorers))
    assert {name: (one["source"], one["toy"]) for name, one in found.items()} == {
        "regard": ("demo", True),
        "negative": ("mine", False),
    }
    assert found["regard"]["parameters"] == 938_755


def test_the_words_that_move_as_one_are_named() -> None:
    group = DemographicGroup([["man", "woman"], ["old king", "queen"]])
    lm = hf_equi.symmetrize(base_model(), group, tokenizer=tokenizer(), multi_token="compose")
    blocks = make_blocks(["the {demographic}"], group, tokenizer())
    found = describe_models(make_subjects({"base": base_model(), "lm": lm}, group, tokenizer(), blocks, 3))
    assert {name: one["units"] for name, one in found.items()} == {"base": [], "lm": ["old king/queen"]}
