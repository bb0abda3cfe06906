"""The configurations of DGCNNs."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.networks import DGCNNConfig, DGCNNSegmentationConfig


def test_defaults_are_published_sizes():
    assert (DGCNNConfig().neighbours, DGCNNConfig().hidden_sizes) == (20, [512, 256])
    assert DGCNNSegmentationConfig().channels == [64, 64, 64]
    assert DGCNNSegmentationConfig.from_dict(DGCNNSegmentationConfig(neighbours=40).to_dict()).neighbours == 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": 0}, "neighbours=0 is not a size"),
        ({"feature_size": 0}, "feature_size=0 is not a size"),
        ({"hidden_sizes": []}, r"hidden_sizes=\[\] is not a list of sizes"),
        ({"dropout": -1.0}, "dropout=-1.0 is not a share"),
        ({"num_categories": 1.5}, "num_categories"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(Exception, match=message) as caught:
        DGCNNSegmentationConfig(**settings)
    assert "num_categories" in settings or isinstance(caught.value, ConfigurationError)
