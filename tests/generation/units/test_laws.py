"""The law of units, beside the same by enumeration."""

from __future__ import annotations

import pytest
import torch
from literal_units import LiteralUnits, log_probabilities, toy_base
from token_actions import units_of
from toy_units import ACTIONS, SHARE, VOCAB, law

from hf_equi import DemographicGroup
from hf_equi.actions import UnitAction
from hf_equi.actions.token_maps import TokenMap

TEXTS = [(2,), (2, 3, 5, 1), (6, 1, 3), (4, 6, 6), (1, 2, 6)]


@pytest.mark.parametrize(
    ("name", "average", "look_ahead"),
    [
        ("order 2", "logits", 0.0),
        ("order 2", "probabilities", 0.3),
        ("order 3", "logits", 0.05),
        ("product", "logits", 0.0),
    ],
)
def test_the_law_is_the_literal_one(name, average, look_ahead):
    base, action = toy_base(VOCAB), units_of(VOCAB, *ACTIONS[name])
    literal = LiteralUnits(action, log_probabilities(base), average, look_ahead, SHARE)
    for text in TEXTS:
        found = law(base, action, average, look_ahead, torch.tensor([text])).combined[0].exp()
        if literal.is_readable(literal.read(text)):
            expected = [literal.next_tokens(text[:end]) for end in range(1, len(text) + 1)]
            torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=1e-9)


def test_general_words_keep_the_scores_of_the_identity():
    """R-EquiLM: a general word of two tokens, and general tokens."""
    group = DemographicGroup([["a", "b"]], general=["c", "d"])
    composed = ((((2, 3), (4,)), ((6, 1), (6, 6))),)
    token_map = TokenMap(VOCAB, ((),), (None,), ((0, 7),), composed=composed, composed_general=(((5, 1),),))
    base, action = toy_base(VOCAB), UnitAction(group, token_map)
    literal = LiteralUnits(action, log_probabilities(base), "logits", 0.0, SHARE)
    assert literal.general >= {0, 7, action.forms.index((5, 1)) + VOCAB}
    for text in [(5, 1, 2), (0, 2, 3), (6, 7)]:
        found = law(base, action, "logits", 0, torch.tensor([text])).combined[0].exp()
        expected = [literal.next_tokens(text[:end]) for end in range(1, len(text) + 1)]
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), atol=1e-12, rtol=1e-9)
