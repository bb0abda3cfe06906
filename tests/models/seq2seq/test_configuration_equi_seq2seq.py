"""EquiSeq2SeqConfig: plain JSON, defaults, and what it refuses."""

from __future__ import annotations

import json

import pytest
from small_seq2seq import SIX, TWO, base, tokenizers, wrap

from hf_equi.actions.resolution import resolve_pair
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.models.seq2seq import EquiSeq2SeqConfig


def stored(family="marian-pair", group=TWO):
    source, target = resolve_pair(group, *tokenizers(family), 12, 10)
    return {"group": group.to_dict(), "source_map": source.to_dict(), "target_map": target.to_dict()}


def test_json_and_back():
    config = wrap("marian-pair", SIX, "lambda", average="probabilities", decoding="independent").config
    again = EquiSeq2SeqConfig.from_dict(json.loads(config.to_json_string(use_diff=False)))
    assert again.to_dict() == config.to_dict()
    assert type(again.base_config) is type(base("marian-pair").config)
    assert (again.average, again.decoding, again.method) == ("probabilities", "independent", "lambda")


@pytest.mark.parametrize("family", ["lstm", "t5", "bart", "marian-pair"])
def test_what_tools_look_for_is_that_of_the_base(family):
    config, own = wrap(family).config, base(family).config
    assert config.is_encoder_decoder
    assert config.vocab_size == own.vocab_size
    assert config.decoder_vocab_size == len(tokenizers(family)[1])
    for name in ("pad_token_id", "eos_token_id", "decoder_start_token_id"):
        assert getattr(config, name) == getattr(own, name)


def test_decodings():
    assert EquiSeq2SeqConfig().decoding == "synchronised"
    assert EquiSeq2SeqConfig(method="lambda").decoding == "synchronised"
    assert EquiSeq2SeqConfig(method="equizero").decoding == "independent"
    assert EquiSeq2SeqConfig(decoding="independent").decoding == "independent"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "mixture"}, r"'mixture'.*'canonical', 'equitune', 'equizero', 'identity', 'lambda'"),
        ({"loss": "margin"}, "loss='margin' is not known: use one of 'max_probability', 'entropy'"),
        ({"decoding": "alone"}, r"decoding='alone' is not known: use one of 'synchronised', 'independent'"),
        ({"average": "median"}, r"average='median' is not known"),
        ({"objective": "worst"}, r"objective='worst' is not known: use one of 'combination', 'members'"),
        ({"method": "equizero", "decoding": "synchronised"}, r"chooses one member by its whole output"),
        ({"teacher_forcing_ratio": 1.5}, r"teacher_forcing_ratio=1.5 is not a share"),
        ({"lambda_dropout": -0.5}, r"lambda_dropout=-0.5 is not a share"),
        ({"lambda_units": 0}, r"lambda_units=0 is not a size"),
        ({"lambda_units": "8"}, r"lambda_units='8' is not a size: use an int"),
        ({"teacher_forcing_ratio": "1"}, r"teacher_forcing_ratio='1' is not a share"),
        ({"orbit_chunk_size": 0}, r"orbit_chunk_size=0 is not a number of orbit members"),
    ],
)
def test_settings_that_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        EquiSeq2SeqConfig(**settings)


def test_maps_of_another_model_are_refused():
    config = base("marian-pair").config
    assert EquiSeq2SeqConfig(base_config=config, **stored()).has_group
    with pytest.raises(ConfigurationError, match="The target's token map was made for 12 tokens, but the base has 10"):
        EquiSeq2SeqConfig(base_config=config, **{**stored(), "target_map": stored()["source_map"]})
    with pytest.raises(ConfigurationError, match="The source's token map was made for 12 tokens, but the base has 18"):
        EquiSeq2SeqConfig(base_config=base("bart").config, **stored())
    with pytest.raises(ActionError, match="The token map has sets of"):
        EquiSeq2SeqConfig(base_config=config, **{**stored(), "group": SIX.to_dict()})


def test_a_config_by_hand_has_no_group():
    assert not EquiSeq2SeqConfig().has_group
    assert not EquiSeq2SeqConfig(**{**stored(), "target_map": None}, base_config=base("marian-pair").config).has_group
