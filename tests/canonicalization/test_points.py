"""How clouds are read. What is refused is tested with each canonicalizer in test_clouds."""

from __future__ import annotations

import pytest
import torch

from hf_equi import ImageGroup
from hf_equi.canonicalization.points import check_group, read_points
from hf_equi.errors import ConfigurationError
from hf_equi.groups import SE3, SO3


def test_padding_is_zero_and_half_precision_is_widened():
    x, mask = torch.full((1, 3, 2), torch.nan, dtype=torch.bfloat16), torch.tensor([[1, 0, 0]])
    x[0, 0] = 2
    points, kept = read_points(x, mask, 2)
    assert points.dtype == torch.float32
    assert points.tolist() == [[[2, 2], [0, 0], [0, 0]]]
    assert kept.tolist() == [[True, False, False]]


def test_groups_are_continuous_and_translate_or_do_not():
    check_group(SO3(), "GramSchmidt")
    check_group(SE3(), "Composed", translates=True)
    with pytest.raises(
        ConfigurationError, match=r"SE3\(\) translates, but .* use Composed\(group, GramSchmidt\(...\)"
    ):
        check_group(SE3(), "GramSchmidt")
    with pytest.raises(ConfigurationError, match=r"SO3\(\) does not translate, .* use Composed itself without a cent"):
        check_group(SO3(), "Composed", translates=True)
    with pytest.raises(ConfigurationError, match=r"but ImageGroup.rotations\(4\) is not one"):
        check_group(ImageGroup.rotations(4), "GramSchmidt")
