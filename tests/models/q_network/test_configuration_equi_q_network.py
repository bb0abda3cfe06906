from __future__ import annotations

import json

import pytest
from small_q_networks import SQUARE, network

from hf_equi import EquiQNetworkConfig, ImageGroup, QNetworkConfig
from hf_equi.errors import ConfigurationError
from hf_equi.groups import CARTPOLE, GRIDWORLD, EnvironmentGroup

CONFIG = network().config


def make(group=SQUARE, base=CONFIG, **settings):
    return EquiQNetworkConfig(base_config=base, group=group.to_dict(), **settings)


def test_it_survives_json():
    config = make(method="lambda", lambda_units=7, lambda_dropout=0.5)
    again = EquiQNetworkConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again.read_group() == SQUARE
    assert (again.method, again.lambda_units, again.lambda_dropout) == ("lambda", 7, 0.5)
    assert isinstance(again.base_config, QNetworkConfig)
    assert again.base_config.hidden_sizes == [16, 16]


@pytest.mark.parametrize(
    ("group", "base", "message"),
    [
        (
            CARTPOLE,
            {"state_shape": 4, "num_actions": 3},
            "permutes 2 actions, but the network scores 3: .* of its envi",
        ),
        (CARTPOLE, {"state_shape": 6}, r"moves states of 4 numbers, but the network reads states of the shape \(6,\)"),
        (CARTPOLE, {"state_shape": [4, 9, 9]}, r"moves states of 4 numbers, .* shape \(4, 9, 9\)"),
        (GRIDWORLD, {"num_actions": 5}, r"moves square images, but the network reads states of the shape \(4,\)"),
        (GRIDWORLD, {"state_shape": [3, 9, 8], "num_actions": 5}, r"moves square images, .* \(3, 9, 8\)"),
        (
            EnvironmentGroup(ImageGroup.flips("horizontal"), [[1, 0]]),
            {},
            r"moves images, but the network reads .* \(4,\)",
        ),
    ],
)
def test_groups_of_other_environments_are_refused(group, base, message):
    with pytest.raises(ConfigurationError, match=message):
        make(group, QNetworkConfig(**base))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lambda_units": 0}, "lambda_units=0 is not a size"),
        ({"lambda_dropout": 2.0}, "lambda_dropout=2.0 is not a share"),
        ({"method": "attention"}, "method='attention' is not known to Q-networks"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        make(**settings)
