"""Distinct words and pairs, by hand, and how often the interval holds the expected figure."""

from __future__ import annotations

import numpy as np
import pytest

from hf_equi.fairness.metrics import Distinct
from hf_equi.fairness.metrics.distinct import continuation_words, distinct
from hf_equi.fairness.resampling import Blocks, Resampling

COLUMNS = {
    "template": ["a"] * 3,
    "sample": [0, 1, 2],
    "demographic": ["man"] * 3,
    "prompt": ["The man was"] * 3,
    "text": ["The man was a cook, a Cook", "The man was a nurse", "The man was"],
}


def test_figures_by_hand() -> None:
    # Words: a cook a cook / a nurse. Kinds: a, cook, nurse; (a cook), (cook a), (a nurse). 3 / 6 each.
    result = Distinct().compute(**COLUMNS)
    assert result["distinct_1"] == 0.5
    assert result["distinct_2"] == 0.5


def test_intervals_by_hand() -> None:
    # Left out one by one: 2 kinds in 2 words, 2 in 4, 3 in 6. Squares about the mean, 2/3: 1/9 + 1/36 + 1/36 = 1/6.
    reach = 0.674490 * (2 / 3 * 1 / 6) ** 0.5
    result = Distinct().compute(**COLUMNS, confidence=0.5)
    assert result["distinct_1_interval"] == pytest.approx([0.5 - reach, 0.5 + reach])
    assert Distinct().compute(**COLUMNS)["distinct_1_interval"] == [0, 1]  # no share lies beyond
    # Pairs: (a nurse) in 2 words; (a cook), (cook a) in 4; all 3 in 6: always 1/2.
    assert result["distinct_2_interval"] == pytest.approx([0.5, 0.5])


def test_coupled_texts_that_repeat_each_other_are_no_less_varied() -> None:
    # man: 3 kinds in 4 words; woman: 1 in 2, in the same blocks. The mean is 5/8.
    words = [["a", "b"], ["a", "a"], ["a", "c"], []]
    blocks = Blocks.read(["a"] * 4, [0, 0, 1, 1])
    result = distinct(words, ["man", "woman"] * 2, blocks, Resampling())
    assert result["distinct_1"] == pytest.approx((3 / 4 + 1 / 2) / 2)
    twice = distinct([["a", "b"], ["a", "b"]], ["man", "woman"], Blocks.read(["a"] * 2, [0, 0]), Resampling())
    assert twice["distinct_1"] == 1


def test_by_its_path(load) -> None:
    assert load("distinct").compute(**COLUMNS) == Distinct().compute(**COLUMNS)


def test_a_prompt_is_left_out_by_its_words() -> None:
    texts = ["the man  was, well, tall", "The man was."]
    assert continuation_words(["The man was"] * 2, texts) == [["well", "tall"], []]


def test_pairs_do_not_cross_from_text_to_text() -> None:
    blocks = Blocks.read(["a"] * 2, [0, 1])
    assert distinct([["a"], ["b"]], ["man"] * 2, blocks, Resampling())["distinct_2"] == 0


def test_without_words_there_is_no_figure() -> None:
    result = Distinct().compute(**{**COLUMNS, "text": COLUMNS["prompt"]})
    assert set(result.values()) == {None}


def test_words_of_one_block_alone_have_no_interval() -> None:
    blocks = Blocks.read(["a"] * 2, [0, 1])
    result = distinct([["a", "b"], []], ["man"] * 2, blocks, Resampling())
    assert (result["distinct_1"], result["distinct_1_interval"]) == (1, None)


def test_intervals_hold_the_expected_figure() -> None:
    rng, size, sets = np.random.default_rng(0), 40, 300
    chances = 1 / np.arange(1, 301)
    drawn = rng.choice(300, (sets, size, 8), p=chances / chances.sum()).astype(str)
    blocks = Blocks.read(["a"] * size, range(size))
    results = [distinct(texts.tolist(), ["man"] * size, blocks, Resampling()) for texts in drawn]
    for key in ("distinct_1", "distinct_2"):
        expected = np.mean([result[key] for result in results])
        hits = [low <= expected <= high for low, high in (result[f"{key}_interval"] for result in results)]
        assert 0.92 <= np.mean(hits) < 1
