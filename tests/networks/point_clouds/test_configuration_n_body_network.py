"""The configuration of NBodyNetwork."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.networks import NBodyNetworkConfig


def test_it_is_stored():
    config = NBodyNetworkConfig(predict_velocities=True)
    assert NBodyNetworkConfig.from_dict(config.to_dict()).predict_velocities
    assert config.hidden_size == 64


@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers"])
def test_sizes_below_one_are_refused(name):
    with pytest.raises(ConfigurationError, match=f"{name}=0 is not a size"):
        NBodyNetworkConfig(**{name: 0})
