from __future__ import annotations

import pytest
from small_models import GENDER, base_model
from small_q_networks import SQUARE, network

from hf_equi import EquiQNetwork, ImageGroup, symmetrize
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.groups import CARTPOLE
from hf_equi.registration import tasks

TASK = tasks()["q_network"]


def test_q_networks_are_found():
    assert TASK.owns(network())
    assert not TASK.owns(base_model())
    assert TASK.knows(network().config)
    assert not TASK.knows(base_model().config)
    model = symmetrize(network(), SQUARE, "lambda", lambda_units=7, lambda_dropout=0.5)
    assert type(model) is EquiQNetwork
    assert (model.lambda_network.layers[0].out_features, model.lambda_network.layers[2].p) == (7, 0.5)


@pytest.mark.parametrize(
    ("group", "method", "settings", "message"),
    [
        (CARTPOLE, "equizero", {}, "permutes 2 actions, but the network scores 5"),
        (
            ImageGroup.rotations(4),
            "equizero",
            {},
            r"must be of the class EnvironmentGroup, not ImageGroup\. Make one: ",
        ),
        (GENDER, "equizero", {}, "not DemographicGroup"),
        (SQUARE, "attention", {}, "method='attention' is not known to Q-networks"),
        (SQUARE, "equizero", {"lambda_units": 5}, "lambda_units: the method 'equizero' does not use these settings"),
        (SQUARE, "canonical", {"canonicalizer": len}, "canonicalizer: a Q-network does not use these settings"),
    ],
)
def test_what_could_not_run_is_refused(group, method, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        symmetrize(network(), group, method, **settings)


def test_groups_that_do_not_fit_are_refused_before_weights_load(tmp_path):
    network().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ConfigurationError, match="permutes 2 actions"):
        symmetrize(str(tmp_path), CARTPOLE)


def test_other_bases_are_refused():
    with pytest.raises(UnsupportedModelError, match=r"is not a QNetwork: read one with QNetwork\.from_stable_base"):
        EquiQNetwork.check_base(base_model())
