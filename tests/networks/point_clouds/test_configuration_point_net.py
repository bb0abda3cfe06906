"""The configurations of PointNets."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.networks import PointNetConfig, PointNetSegmentationConfig


def test_defaults_are_published_sizes():
    assert PointNetConfig().hidden_sizes == [512]
    assert not PointNetConfig().transforms
    assert PointNetSegmentationConfig().channels == [64, 128, 128, 512, 2048]
    assert (
        PointNetSegmentationConfig.from_dict(PointNetSegmentationConfig(num_categories=3).to_dict()).num_categories
        == 3
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": 64}, "channels=64 is not a list of sizes"),
        ({"channels": [64, 0]}, "channels=0 is not a size"),
        ({"channels": [64]}, "two layers or more before it pools"),
        ({"dropout": 1.5}, "dropout=1.5 is not a share"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1 is not a share"),
        ({"transform_weight": -1.0}, "transform_weight=-1.0 is not a weight"),
        ({"num_categories": -1}, "num_categories=-1 is not a number of categories"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        PointNetSegmentationConfig(**settings)
