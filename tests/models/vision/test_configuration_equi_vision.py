"""What the configs of models with levels of features have in common: what they refuse, and how they round trip."""

from __future__ import annotations

import pytest
from wrapped_vision import LEVELS, SQUARE

from hf_equi import EquiCLIPConfig, EquiImageClassificationConfig
from hf_equi.errors import ConfigurationError

KINDS = (EquiImageClassificationConfig, EquiCLIPConfig)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": "middle"}, "level='middle' is not known: use one of 'features', 'logits', 'prob"),
        ({"objective": "hinge"}, "'cross_entropy', 'published_double_softmax'"),
        ({"lambda_features": "copied"}, "lambda_features='copied' is not known: use one of 'shared', 'frozen'"),
        ({"level": ["features"]}, r"level=\['features'\] is not known: use one of 'features', 'logits'"),
        (
            {"method": ["equitune"]},
            r"method=\['equitune'\] is not known to .*: use one of 'attention', 'canonical', 'can",
        ),
        ({"orbit_chunk_size": "1"}, "orbit_chunk_size='1' is not a number of orbit members"),
        ({"orbit_chunk_size": 1.0}, r"orbit_chunk_size=1\.0"),
        ({"orbit_chunk_size": True}, "orbit_chunk_size=True"),
        ({"orbit_chunk_size": 0}, "orbit_chunk_size=0"),
        ({"method": "mixture"}, "'canonical', 'canonical_lambda', 'equitune', 'equizero', 'identity', 'lambda'"),
    ],
)
def test_what_is_refused(kind, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        kind(**settings)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", LEVELS)
def test_levels_by_name(kind, level):
    assert kind(level=level).create_level().name == level


@pytest.mark.parametrize("kind", KINDS)
def test_entries_survive(kind):
    entries = {
        "level": "logits",
        "padding": "circular",
        "lambda_units": 7,
        "lambda_dropout": 0.5,
        "lambda_features": "frozen",
        "objective": "published_double_softmax",
        "orbit_chunk_size": 3,
        "method": "attention",
    }
    again = kind.from_dict(kind(group=SQUARE.to_dict(), **entries).to_dict())
    assert {name: getattr(again, name) for name in entries} == entries
    assert again.read_group() == SQUARE


def test_outputs_that_trainers_leave_out():
    common = {"chosen_element", "margin", "group_weights", "image_features"}
    assert common <= set(EquiImageClassificationConfig.keys_to_ignore_at_inference)
    assert common | {"text_embeds", "image_embeds"} <= set(EquiCLIPConfig.keys_to_ignore_at_inference)
