"""Rules of continuous groups as canonicalizers."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw

from hf_equi import ImageGroup
from hf_equi.actions import PointAction
from hf_equi.canonicalization import FixedPose, GramSchmidt
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SO3
from hf_equi.testing import assert_canonicalizer


def first_two(x, mask=None):
    return GramSchmidt(SO3()).poses(x)[0][:, 0]


def test_a_rule_says_one_element_for_each_input():
    rule, x = FixedPose(first_two, SO3()), draw(3, 4, 3)
    elements, log_weights = rule.poses(x, torch.ones(3, 4))
    assert torch.equal(elements[:, 0], first_two(x))
    assert log_weights is None
    assert_canonicalizer(rule, x, PointAction(SO3()))
    assert rule.to_dict() == {"type": None}
    assert not rule.learns


@pytest.mark.parametrize("returned", [torch.eye(3), torch.eye(3).long().expand(2, 3, 3), torch.zeros(2), 3])
def test_what_is_no_matrix_for_each_input_is_refused(returned):
    with pytest.raises(ConfigurationError, match=r"element of each input, \(2, 3, 3\) floating numbers; received"):
        FixedPose(lambda x: returned, SO3()).poses(torch.zeros(2, 4, 3))


def test_a_rule_is_a_function_and_its_group_continuous():
    with pytest.raises(ConfigurationError, match="canonicalizer='upright' cannot be called"):
        FixedPose("upright", SO3())
    with pytest.raises(ConfigurationError, match="a rule that returns indices is a FixedRule"):
        FixedPose(first_two, ImageGroup.rotations(4))
