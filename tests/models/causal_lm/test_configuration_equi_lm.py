"""The configuration alone."""

from __future__ import annotations

import pytest
from small_models import GENDER, base_model, configs, tokenizer

import hf_equi
from hf_equi import DemographicGroup, EquiLMConfig
from hf_equi.errors import ConfigurationError


def test_defaults_make_a_config():
    config = EquiLMConfig()
    assert config.get_text_config().model_type == "gpt2"
    assert config.vocab_size == config.base_config.vocab_size


def test_what_tools_look_for_is_the_base_s():
    config = EquiLMConfig(base_config=configs()["llama"])
    assert (config.vocab_size, config.eos_token_id, config.pad_token_id) == (len(tokenizer()), 0, 1)
    assert config.max_position_embeddings == 128
    assert config.get_text_config(decoder=True).num_hidden_layers == 2
    assert config.tie_word_embeddings is False


def test_wrapping_leaves_the_config_of_the_base_as_it_is():
    base = base_model("llama")
    before, attention = base.config.to_dict(), base.config._attn_implementation
    lm = hf_equi.symmetrize(base, GENDER, tokenizer=tokenizer())
    assert base.config.to_dict() == before
    assert base.config._attn_implementation == attention
    assert lm.config.base_config is base.config


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "magic"}, "method='magic' is not known to .*: use one of 'canonical', 'equitune', 'equizero'"),
        ({"average": "medians"}, "average='medians' is not known: use one of 'logits', 'probabilities'"),
        ({"orbit_chunk_size": 0}, "orbit_chunk_size=0 is not a number of orbit members"),
        (
            {"method": "canonical", "group": DemographicGroup([["a", "b"]], neutral=["c"]).to_dict()},
            "'canonical' has no relaxed variant",
        ),
        ({"multi_token": "drop"}, "multi_token='drop' is not known: use one of 'auto', 'compose', 'error', 'skip'"),
        ({"multi_token": "compose", "look_ahead": 1.5}, "look_ahead=1.5 is not a share: use a number from 0 to 1"),
        ({"multi_token": "compose", "unlooked_share": 0.0}, "unlooked_share=0.0 is out of range"),
        ({"look_ahead": 0.5}, "look_ahead=0.5 is about words of several tokens, .* pass that too, or leave it out"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        EquiLMConfig(**settings)


def test_a_config_of_an_earlier_release_moves_single_tokens():
    config = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer()).config
    stored = {name: value for name, value in config.to_dict().items() if name not in ("look_ahead", "unlooked_share")}
    read = EquiLMConfig.from_dict(stored)
    assert (read.multi_token, read.look_ahead, read.unlooked_share) == ("auto", 0.05, 0.1)
    assert not hf_equi.EquiLM(read, base_model()).action.composes
