"""Rules as canonicalizers."""

from __future__ import annotations

import pytest
import torch
from small_rules import brightest_corner

from hf_equi import ImageGroup, PixelAction
from hf_equi.canonicalization import FixedRule
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO2
from hf_equi.testing import assert_canonicalizer

TURNS = ImageGroup.rotations(4)


def test_a_rule_scores_its_element_alone():
    rule, x = FixedRule(brightest_corner, TURNS), torch.randn(5, 3, 6, 6)
    assert torch.equal(rule.scores(x).argmax(1), brightest_corner(x))
    assert rule.scores(x).sum(1).eq(1).all()
    assert_canonicalizer(rule, x, PixelAction(TURNS))
    assert rule.to_dict() == {"type": None}


@pytest.mark.parametrize(
    "returned", [torch.tensor([4, 0]), torch.tensor([-1, 0]), torch.zeros(2), torch.tensor([0]), 3, torch.ones(2) > 0]
)
def test_what_is_no_element_for_each_input_is_refused(returned):
    with pytest.raises(ConfigurationError, match=r"element of each input, \(2,\) integers from 0 to 3; received"):
        FixedRule(lambda x: returned, TURNS).scores(torch.zeros(2, 3, 6, 6))


def test_a_rule_is_a_function():
    with pytest.raises(ConfigurationError, match="canonicalizer='upright' cannot be called"):
        FixedRule("upright", TURNS)
    with pytest.raises(ConfigurationError, match=r"SO2\(\) is not a finite group: .* matrices is a FixedPose"):
        FixedRule(brightest_corner, SO2())
