"""What the configs of all models of images have in common: what they refuse, and the groups that they take."""

from __future__ import annotations

import pytest
from wrapped_vision import SQUARE

from hf_equi import EquiCLIPConfig, EquiDenseConfig, EquiImageClassificationConfig, ImageGroup
from hf_equi.errors import ConfigurationError, GroupError
from hf_equi.groups import SO2, DemographicGroup

KINDS = (EquiImageClassificationConfig, EquiCLIPConfig, EquiDenseConfig)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": "zeros"}, "padding='zeros' is not known: use one of 'reflect', 'circular'"),
        ({"lambda_units": 0}, "lambda_units=0 is not a size: use an int, 1 or more"),
        ({"lambda_units": "100"}, "lambda_units='100' is not a size: use an int"),
        ({"lambda_units": 1.5}, r"lambda_units=1\.5 is not a size"),
        ({"lambda_dropout": "0.5"}, r"lambda_dropout='0\.5' is not a share: use a number"),
        ({"lambda_dropout": True}, "lambda_dropout=True is not a share"),
        ({"lambda_dropout": 2.0}, "lambda_dropout=2.0 is not a share"),
        ({"lambda_dropout": -0.1}, "from 0 to 1"),
        ({"task_weight": -1.0}, r"task_weight=-1\.0 is not a weight: use a number, 0 or more"),
        ({"method": "canonical", "temperature": 0.0}, r"temperature=0\.0 is out of range"),
        ({"method": "canonical", "canonicalizer_settings": {"type": "orbit"}}, "type='orbit' is not known to canon"),
    ],
)
def test_what_is_refused(kind, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        kind(**settings)


@pytest.mark.parametrize("kind", KINDS)
def test_groups_are_those_of_images(kind):
    for group in (SQUARE, ImageGroup.flips("vertical"), ImageGroup.trivial(), ImageGroup.rotations(8)):
        assert kind(group=group.to_dict()).read_group() == group
    with pytest.raises(GroupError, match="must be of the class ImageGroup, SO2 or O2; the config holds Demo"):
        kind(group=DemographicGroup([["man", "woman"]]).to_dict())
    with pytest.raises(GroupError, match="needs a kind"):
        kind(group={"type": "image"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_group_that_cannot_be_listed_takes_no_mean(kind):
    group = SO2().to_dict()
    with pytest.raises(ConfigurationError, match="'equitune' is for finite groups, but SO2"):
        kind(group=group)
    with pytest.raises(ConfigurationError, match="temperature= and relaxation= say how the choice"):
        kind(group=group, method="canonical", temperature=2.0)
    assert kind(group=group, method="canonical").canonical_settings["temperature"] == 1.0
