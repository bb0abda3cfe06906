"""Rows of different lengths in one cache."""

from __future__ import annotations

import pytest
import torch
from small_models import base_model
from toy_units import pairs

from hf_equi.generation.units.feeding import RowFeeder, can_hide
from hf_equi.generation.units.state import RowTexts


@pytest.mark.parametrize("most", [None, 1, 2])
def test_rows_are_read_as_if_each_stood_alone(most):
    base, _ = pairs()
    feeder = RowFeeder(base, {}, torch.arange(2), 2)
    with torch.no_grad():
        fed, held = feeder.feed(None, RowTexts([[], []], [[], []]), [[1, 2, 3], [4]], [0, 0], 1, most)
        fed, held = feeder.feed(fed.cache, held, [[5, 6], [7]], [1, 1], 2, most)
        assert held.tokens == [[1, 5, 6], [4, 7]]
        for row, (text, new) in enumerate(zip(held.tokens, (2, 1), strict=True)):
            expected = base(torch.tensor([text])).logits[0, -new:]
            torch.testing.assert_close(fed.logits[row, -new:], expected, atol=1e-5, rtol=1e-5)


def test_a_cache_that_forgets_or_cannot_go_back_hides_nothing():
    base, _ = pairs()
    assert can_hide(base, 10**6)
    assert [can_hide(base_model(family), 5) for family in ("mistral", "jamba", "bloom")] == [True, False, False]
    assert not can_hide(base_model("mistral"), 6)
