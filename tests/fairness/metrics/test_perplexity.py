"""Perplexity, by hand."""

from __future__ import annotations

from math import exp, inf

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics import Perplexity

COLUMNS = {"template": ["a"] * 2, "sample": [0, 1], "nll": [2.0, 9.0], "scored_tokens": [2, 3]}


def test_the_figure_is_over_tokens_not_over_texts() -> None:
    assert Perplexity().compute(**COLUMNS)["perplexity"] == pytest.approx(exp(11 / 5))


def test_the_interval_by_hand() -> None:
    # Drawn are 4 nats in 4 tokens, 11 in 5 and 18 in 6, with weights 1/4, 1/2 and 1/4.
    assert Perplexity().compute(**COLUMNS)["perplexity_interval"] == pytest.approx([exp(1), exp(3)])
    narrow = Perplexity().compute(**COLUMNS, confidence=0.4)["perplexity_interval"]
    assert narrow == pytest.approx([exp(11 / 5)] * 2)


def test_by_its_path(load) -> None:
    assert load("perplexity").compute(**COLUMNS) == Perplexity().compute(**COLUMNS)


def test_one_block_has_no_interval() -> None:
    assert Perplexity().compute(template=["a"], sample=[0], nll=[0.0], scored_tokens=[1]) == {
        "perplexity": 1,
        "perplexity_interval": None,
    }


def test_a_text_that_the_base_rules_out_leaves_no_figure() -> None:
    result = Perplexity().compute(**{**COLUMNS, "nll": [2.0, inf]})
    assert result == {"perplexity": None, "perplexity_interval": None}


def test_a_text_without_tokens_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="row 1 has no scored token"):
        Perplexity().compute(**{**COLUMNS, "scored_tokens": [2, 0]})
