"""What the configurations of all tasks share, seen through each of them."""

from __future__ import annotations

import json

import pytest
import torch
from text_configs import GROUP, RELAXED, base_config, make, maps
from transformers import AutoConfig

from hf_equi import DemographicGroup, EquiLMConfig, EquiSeq2SeqConfig
from hf_equi.errors import ConfigurationError, GroupError
from hf_equi.models import configuration_equi


@pytest.fixture(params=[EquiLMConfig, EquiSeq2SeqConfig])
def kind(request):
    return request.param


def test_defaults_make_a_config_without_a_group(kind):
    config = kind()
    assert not config.has_group
    assert config.method == "equitune"
    assert config.stores_base


def test_the_base_s_config_is_copied_and_left_as_it_is(kind):
    own = base_config(kind)
    before, attention = own.to_dict(), own._attn_implementation
    config = make(kind)
    assert config.base_config is not own
    assert config._attn_implementation == attention
    config.base_config.vocab_size = 1
    assert (own.to_dict(), own._attn_implementation) == (before, attention)


def test_stored_as_plain_json_and_read_again(kind, tmp_path):
    settings = {"method": "canonical", "average": "probabilities", "orbit_chunk_size": 3, "base_name": "us/base"}
    config = make(kind, hf_equi_version="0.0.1", tokenizer_fingerprint="f" * 32, **settings)
    config.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert stored["model_type"] == kind.model_type
    assert {name: stored[name] for name in settings} == settings
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is kind
    assert loaded.hf_equi_version == "0.0.1"
    assert loaded.base_config.to_dict() == config.base_config.to_dict()
    assert {name: getattr(loaded, name) for name in ("group", *kind.map_names)} == {
        "group": GROUP.to_dict(),
        **maps(kind),
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"average": "medians"}, "average='medians' is not known: use one of 'logits', 'probabilities'"),
        (
            {"orbit_chunk_size": 0},
            "orbit_chunk_size=0 is not a number of orbit members: use an int, 1 or more, or None for all",
        ),
        ({"orbit_chunk_size": -2}, "orbit_chunk_size=-2 is not a number"),
        ({"orbit_chunk_size": "1"}, "orbit_chunk_size='1' is not a number of orbit members: use an int"),
        ({"orbit_chunk_size": 1.0}, r"orbit_chunk_size=1\.0 is not a number"),
        ({"orbit_chunk_size": True}, "orbit_chunk_size=True is not a number"),
        ({"method": ["equitune"]}, r"method=\['equitune'\] is not known to .*: use one of 'canonical', 'equitune'"),
        ({"method": "canonical", "group": RELAXED.to_dict()}, "The method 'canonical' has no relaxed variant"),
    ],
)
def test_bad_settings_are_refused(kind, settings, message):
    with pytest.raises(ConfigurationError, match=message):
        make(kind, **settings)


def test_a_group_is_checked_once_for_the_same_content_and_has_tables_of_its_own(kind, monkeypatch):
    first = make(kind).read_group()
    with monkeypatch.context() as patch:
        patch.setattr(configuration_equi, "read_group", None)
        second = make(kind).read_group()
    second.product.fill_(0)
    assert make(kind).read_group() == first
    assert first.product.any()
    assert make(kind).read_group().product.equal(first.product)
    other = make(kind)
    other.group = RELAXED.to_dict()
    assert other.read_group() == RELAXED != first
    other.group["factors"][0]["equality"] = []  # in place
    with pytest.raises(GroupError, match="at least one set"):
        other.read_group()


def test_groups_of_a_trace_or_of_inference_are_not_kept(kind):
    config = make(kind, group=DemographicGroup([["he", "she"], ["his", "her"]]).to_dict())
    with torch.inference_mode():
        own = config.read_group()
        assert own.product.is_inference()
    later = config.read_group()
    assert later == own
    assert not later.product.is_inference()
