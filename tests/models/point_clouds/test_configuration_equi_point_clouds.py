from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError, GroupError
from hf_equi.groups import SO2, SO3, FiniteGroup, MatrixGroup
from hf_equi.models.point_clouds import (
    EquiNBodyConfig,
    EquiPointCloudClassificationConfig,
    EquiPointCloudSegmentationConfig,
)

KINDS = (EquiPointCloudClassificationConfig, EquiPointCloudSegmentationConfig, EquiNBodyConfig)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_stored_with_its_group(kind):
    config = kind(group=SO3().to_dict(), method="canonical", prior_weight=2.0)
    again = kind.from_dict(config.to_dict())
    assert again.read_group() == SO3()
    assert again.create_method().select.prior_weight == 2.0
    assert again.canonical_settings["canonicalizer_settings"] == {"type": "vector_neurons"}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"average": "medians"}, ConfigurationError, "average='medians'"),
        ({"method": "equizero", "loss": "largest"}, ConfigurationError, "loss='largest'"),
        ({"method": "magic"}, ConfigurationError, "method='magic' is not known to point cloud classification"),
        ({"group": SO2().to_dict()}, GroupError, "must be of the class SO3, O3, SO2Z, SE3, E3 or MatrixGroup"),
        ({"group": FiniteGroup.cyclic(3).to_dict()}, GroupError, "must be of the class"),
        ({"group": MatrixGroup.cyclic(4).to_dict()}, ConfigurationError, "points in space have 3 coordinates"),
        ({"group": SO3().to_dict(), "method": "canonical", "temperature": 2.0}, ConfigurationError, "temperature="),
        ({"group": SO3().to_dict(), "method": "canonical_lambda"}, ConfigurationError, "theta=None is not a set"),
        (
            {"group": SO3().to_dict(), "method": "canonical_lambda", "theta": ["0°"]},
            ConfigurationError,
            "theta= must hold elements of the group",
        ),
    ],
)
def test_other_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message):
        EquiPointCloudClassificationConfig(**settings)


def test_angles_about_the_axis_are_elements():
    group = {"type": "continuous", "name": "SO2Z"}
    config = EquiPointCloudClassificationConfig(group=group, method="canonical_lambda", theta=["0°", "90°"])
    assert config.theta == ["0°", "90°"]
