from __future__ import annotations

import pytest

from hf_equi.canonicalization import FrameMembers
from hf_equi.errors import ConfigurationError
from hf_equi.models.point_clouds.methods import PoseMixture, equitune, equizero, lambda_equitune


def test_means_and_choices_are_over_frames():
    for method in (equitune("probabilities"), equizero(loss="entropy"), lambda_equitune()):
        assert isinstance(method.select, FrameMembers)
    assert equizero(loss="entropy").loss.name == "entropy"
    with pytest.raises(ConfigurationError, match="loss='largest'"):
        equizero(loss="largest")


def test_a_mixture_claims_a_law():
    assert not PoseMixture().text.exact
    assert "law" in PoseMixture().text.claim
