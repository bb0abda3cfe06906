"""What the configurations of models of text share, seen through each of them."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from text_configs import RELAXED, base_config, make, maps, sizes

from hf_equi import EquiLMConfig, EquiSeq2SeqConfig
from hf_equi.errors import ActionError, ConfigurationError


@pytest.fixture(params=[EquiLMConfig, EquiSeq2SeqConfig])
def kind(request):
    return request.param


def test_there_is_a_map_for_each_vocabulary():
    assert EquiLMConfig.map_names == ("token_map",)
    assert EquiSeq2SeqConfig.map_names == ("source_map", "target_map")
    assert sizes(EquiSeq2SeqConfig)["source_map"] != sizes(EquiSeq2SeqConfig)["target_map"]


def test_what_tools_look_for_is_the_base_s(kind):
    config, own = make(kind), base_config(kind)
    assert config.vocab_size == own.vocab_size
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (
        own.bos_token_id,
        own.eos_token_id,
        own.pad_token_id,
    )
    assert config.tie_word_embeddings == own.tie_word_embeddings
    assert config.max_position_embeddings == own.max_position_embeddings
    assert config.get_text_config().model_type == own.model_type
    assert config.hf_equi_version == version("hf_equi")


def test_a_group_needs_all_its_maps(kind):
    assert make(kind).has_group
    assert not make(kind, group=None).has_group
    for name in kind.map_names:
        assert not make(kind, **{name: None}).has_group


def test_a_relaxed_group_needs_maps_that_list_its_words(kind):
    with pytest.raises(ActionError, match="does not list the neutral or general tokens"):
        make(kind, group=RELAXED.to_dict())
    config = make(kind, group=RELAXED.to_dict(), **maps(kind, neutral=[[3]]))
    assert config.has_group


def test_maps_have_to_fit_their_vocabulary(kind):
    for name, size in sizes(kind).items():
        other = {**maps(kind)[name], "vocab_size": size + 1}
        with pytest.raises(ConfigurationError, match=f"made for {size + 1} tokens, but the base has {size}"):
            make(kind, **{name: other})


def test_maps_have_to_fit_their_group(kind):
    for name in kind.map_names:
        with pytest.raises(ActionError, match=r"sets of \[3\] tokens, but the group has factors of \[2\] words"):
            make(kind, **{name: maps(kind, (1, 2, 3))[name]})


def test_damaged_maps_are_refused(kind):
    for name in kind.map_names:
        with pytest.raises(ActionError, match="The stored map is not a permutation: the token 1"):
            make(kind, **{name: {**maps(kind)[name], "sets": [[[1, 2], [1, 3]]]}})
        with pytest.raises(ActionError, match="The stored token map is damaged"):
            make(kind, **{name: {"vocab_size": 3}})
