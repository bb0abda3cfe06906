from __future__ import annotations

import pytest

from hf_equi import QNetworkConfig
from hf_equi.errors import ConfigurationError


def test_defaults_are_those_of_stable_baselines3():
    config = QNetworkConfig()
    assert (config.state_shape, config.num_actions, config.hidden_sizes) == ([4], 2, [64, 64])
    assert (config.activation, config.convolutions, config.outputs) == ("relu", [], "q_values")
    nature = QNetworkConfig(state_shape=(4, 84, 84))
    assert (nature.convolutions[0], nature.hidden_sizes, nature.map_shape()) == ([32, 8, 4], [], (64, 7, 7))
    small = QNetworkConfig(state_shape=[3, 21, 21])
    assert (small.convolutions, small.map_shape()) == ([[32, 3, 2], [64, 3, 2]], (64, 4, 4))
    flat = QNetworkConfig(state_shape=[3, 21, 21], convolutions=[])
    assert (flat.convolutions, flat.hidden_sizes) == ([], [64, 64])
    assert QNetworkConfig.from_dict(small.to_dict()).to_dict() == small.to_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"state_shape": 0}, "state_shape=0 is not a size"),
        ({"state_shape": "4"}, "state_shape='4' is not a list with one size in each place"),
        ({"state_shape": [4, 4]}, r"state_shape=\[4, 4\]: a state is a row of S numbers, or an image"),
        ({"num_actions": 0}, "num_actions=0 is not a number of actions"),
        ({"hidden_sizes": [64, 0]}, "hidden_sizes=0 is not a size"),
        ({"hidden_sizes": 64}, "hidden_sizes=64 is not a list"),
        ({"activation": "sine"}, "activation='sine' is not known"),
        ({"outputs": "values"}, "outputs='values' is not known"),
        ({"feature_size": 0}, "feature_size=0 is not a size"),
        ({"convolutions": [[8, 3, 1]]}, r"read images, but a state has the shape \[4\]: leave convolutions= out"),
        ({"convolutions": [[8, 3]], "state_shape": [1, 9, 9]}, r"with one triple \(channels, kernel size, stride\)"),
        ({"convolutions": [[8, 3, 2], [8, 5, 1]], "state_shape": [1, 9, 9]}, r"kernel of 5 × 5, but reads 4 × 4 pix"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        QNetworkConfig(**settings)
