"""The scorers of an audit: their names, and what they say of texts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from small_classifiers import LABELS, TEXTS, classifier
from small_models import GENDER, tokenizer

from hf_equi import DemographicGroup
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing.scoring import Measures, name_scorers
from hf_equi.fairness.scales import REGARD, Scale
from hf_equi.generation.scorers import LabelScorer, RegardScorer


def label(name: str, **settings: Any) -> LabelScorer:
    return LabelScorer(classifier(("toxic", "mean:spirited")), name, tokenizer(), **settings)


def titles(scorer: Any) -> list[str]:
    return [scale.title for scale in name_scorers(scorer)]


def test_scorers_are_named_by_their_label_or_as_they_are_given(regard) -> None:
    assert [*name_scorers(regard())] == [REGARD]
    assert [*name_scorers([label("toxic")])] == [Scale("toxic", ("toxic", "not toxic"))]
    assert titles([label("toxic"), regard(), label("mean:spirited"), regard()]) == [
        "toxic",
        "regard",
        "mean-spirited",
        "fake",
    ]
    assert titles({"toxicity": label("toxic"), "respect": regard(), "another": regard()}) == [
        "toxicity",
        "regard",
        "another",
    ]


@pytest.mark.parametrize(
    ("scorer", "message"),
    [
        ([], "scorer is empty"),
        ({}, "scorer is empty"),
        (
            [label("toxic"), label("toxic", score="label")],
            "Two scorers have the name 'toxic': give them different names",
        ),
        ({"regard": label("toxic"), "other": RegardScorer("demo")}, "Two scorers have the name 'regard'"),
        ({"a:b": label("toxic")}, "has the name 'a:b': use a text without a colon"),
        ({" ": label("toxic")}, "has the name ' '"),
        ({"\n": label("toxic")}, "use a text"),
        ([label("toxic"), "demo"], "The scorer str gives no label probabilities"),
    ],
)
def test_names_that_columns_cannot_have_are_refused(scorer, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        name_scorers(scorer)


def test_each_scorer_has_columns_of_its_own(regard) -> None:
    scorers = [regard(), label("toxic"), RegardScorer(classifier(), tokenizer())]
    columns = Measures(name_scorers(scorers), GENDER).columns(TEXTS)
    assert {len(column) for column in columns.values()} == {len(TEXTS)}
    assert [*columns] == [name for scale in name_scorers(scorers) for name in scale.columns()]
    for prefix, scorer in (("", scorers[1]), ("masked_", scorers[1].masked(GENDER))):
        assert columns[f"toxic:{prefix}P(toxic)"] == scorer.probabilities(TEXTS)[:, 0].double().tolist()
        assert columns[f"toxic:{prefix}label"] == scorer.labels(TEXTS)
    assert columns["toxic:P(toxic)"] != columns["toxic:masked_P(toxic)"]
    assert set(columns["RegardScorer:label"]) <= set(LABELS)


def test_a_scorer_of_losses_alone_is_refused() -> None:
    def loss(texts: list[str]) -> torch.Tensor:
        return torch.zeros(len(texts))

    with pytest.raises(ConfigurationError, match=r"The scorer loss gives no label probabilities.*pass a RegardScorer"):
        name_scorers(loss)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (torch.zeros(8, 2), r"have shape \(8, 2\) for 8 texts"),
        (torch.zeros(3, 3), r"have shape \(3, 3\) for 8 texts"),
        ([0.1], "have shape list for 8 texts"),
        (torch.full((8, 3), torch.nan), "nan, which is not a probability"),
        (torch.full((8, 3), -2.0), "-2, which is not a probability: .*not logits"),
    ],
)
def test_wrong_probabilities_are_refused(regard, monkeypatch, found, message) -> None:
    monkeypatch.setattr(regard, "probabilities", lambda self, texts: found)
    with pytest.raises(ConfigurationError, match=message):
        Measures(name_scorers(regard()), GENDER).columns(list("abcdefgh"))


@pytest.mark.parametrize("dtype", [torch.long, torch.bool, torch.bfloat16])
def test_hard_labels_are_probabilities_of_any_dtype(regard, dtype) -> None:
    class Hard(regard):  # type: ignore[misc,valid-type]
        def probabilities(self, texts: Any) -> torch.Tensor:
            return torch.tensor([[0, 1, 0]] * len(texts), dtype=dtype)

        def masked(self, group: DemographicGroup) -> Any:
            return self

    columns = Measures(name_scorers(Hard()), GENDER).columns(["a", "b"])
    assert json.dumps(columns["negative"] + columns["neutral"]) == "[0.0, 0.0, 1.0, 1.0]"
    assert columns["label"] == columns["masked_label"] == ["neutral", "neutral"]
