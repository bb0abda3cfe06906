from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.models.vision.levels import LEVELS, LINKS, Head, Members, Sigmoid, Softmax, create_level

LOGITS = torch.tensor([[0.0, 2.0, -1.0], [30.0, -40.0, 100.0]])


def head(link):
    return Head(lambda features: 2 * features, lambda maps: maps.sum((-2, -1)), LINKS[link])


def members(link="softmax", maps=None):
    return Members(LOGITS / 2, head(link), maps)


@pytest.mark.parametrize("link", LINKS)
def test_links_there_and_back(link):
    there = LINKS[link].log_probabilities(LOGITS)
    back = LINKS[link].logits(there)
    assert torch.isfinite(there).all()
    assert torch.equal(LINKS[link].of_classes(there), there if link == "softmax" else there[..., 0])
    if link == "softmax":
        torch.testing.assert_close(back, LOGITS.log_softmax(-1))
        torch.testing.assert_close(there.exp().sum(-1), torch.ones(2))
    else:
        torch.testing.assert_close(back, LOGITS)
        torch.testing.assert_close(there.exp().sum(-1), torch.ones(2, 3))
        torch.testing.assert_close(there[..., 0].exp(), LOGITS.sigmoid())


def test_links_by_name():
    assert type(LINKS["softmax"]) is Softmax
    assert type(LINKS["sigmoid"]) is Sigmoid


def test_features_come_before_the_head():
    level, combined = LEVELS["features"], torch.randn(2, 3)
    assert torch.equal(level.values(members()), LOGITS / 2)
    assert torch.equal(level.logits(combined, head("softmax")), 2 * combined)
    assert torch.equal(level.features(combined, head("softmax")), combined)


def test_logits_come_behind_it():
    level, combined = LEVELS["logits"], torch.randn(2, 3)
    assert torch.equal(level.values(members()), LOGITS)
    assert torch.equal(level.logits(combined, head("softmax")), combined)
    assert level.features(combined, head("softmax")) is None


@pytest.mark.parametrize("link", LINKS)
def test_probabilities_in_log_space(link):
    level = LEVELS["probabilities"]
    values = level.values(members(link))
    assert torch.equal(values, LINKS[link].log_probabilities(LOGITS))
    assert torch.equal(level.logits(values, head(link)), LINKS[link].logits(values))
    assert level.features(values, head(link)) is None


def test_maps_are_pooled_once_they_are_combined():
    level, maps = LEVELS["spatial"], torch.randn(2, 3, 4, 4)
    assert level.reads_maps
    assert level.values(members(maps=maps)) is maps
    pooled = maps.sum((-2, -1))
    assert torch.equal(level.features(maps, head("softmax")), pooled)
    assert torch.equal(level.logits(maps, head("softmax")), 2 * pooled)
    with pytest.raises(RuntimeError, match="no feature maps were read"):
        level.values(members())


def test_logits_of_members_are_computed_once():
    calls = []
    counting = Head(lambda features: calls.append(0) or features, lambda maps: maps, LINKS["softmax"])
    some = Members(LOGITS, counting)
    assert some.logits is some.logits
    assert len(calls) == 1


def test_what_is_averaged():
    assert {name: level.average for name, level in LEVELS.items()} == {
        "features": "logits",
        "logits": "logits",
        "probabilities": "probabilities",
        "spatial": "logits",
    }
    assert [name for name, level in LEVELS.items() if level.reads_maps] == ["spatial"]


def test_levels_by_name():
    for name, level in LEVELS.items():
        assert create_level(name) is level
        assert level.name == name
    with pytest.raises(ConfigurationError, match="'features', 'logits', 'probabilities', 'spatial'"):
        create_level("middle")
