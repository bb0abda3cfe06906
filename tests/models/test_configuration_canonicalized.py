"""What configs of methods with a canonicalizer share; those of the tasks have the rest."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.models.point_clouds import EquiNBodyConfig


def test_settings_of_a_method_are_those_of_the_config():
    config = EquiNBodyConfig(prior_weight=3.0)
    assert config.canonical_settings["prior_weight"] == 3.0
    assert {*CANONICAL_SETTINGS} < config.canonical_settings.keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"task_weight": -1.0}, "task_weight=-1.0 is not a weight"),
        ({"prior_weight": -1.0}, "prior_weight=-1.0 is not a weight"),
        ({"lambda_units": 0}, "lambda_units=0 is not a size"),
        ({"lambda_dropout": 2.0}, "lambda_dropout=2.0 is not a share"),
    ],
)
def test_other_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        EquiNBodyConfig(**settings)
