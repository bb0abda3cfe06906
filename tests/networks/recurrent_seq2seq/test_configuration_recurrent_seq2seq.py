"""The configuration alone."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.networks.recurrent_seq2seq import RecurrentSeq2SeqConfig


def test_defaults_are_those_of_the_papers():
    config = RecurrentSeq2SeqConfig()
    assert (config.cell, config.hidden_size, config.bidirectional, config.dropout) == ("lstm", 64, True, 0.1)
    assert (config.is_encoder_decoder, config.tie_word_embeddings) == (True, False)
    assert config.decoder_vocab_size == config.vocab_size


def test_the_decoder_is_as_wide_as_both_directions():
    assert RecurrentSeq2SeqConfig(hidden_size=5).decoder_size == 10
    assert RecurrentSeq2SeqConfig(hidden_size=5, bidirectional=False).decoder_size == 5


def test_a_stored_config_is_the_same(tmp_path):
    config = RecurrentSeq2SeqConfig(vocab_size=9, decoder_vocab_size=7, cell="gru", teacher_forcing_ratio=0.5)
    config.save_pretrained(tmp_path)
    assert RecurrentSeq2SeqConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "mamba"}, "cell='mamba' is not known: use one of 'rnn', 'gru', 'lstm'"),
        ({"activation": "sign"}, "activation='sign' is not known: use one of 'relu', 'tanh'"),
        ({"vocab_size": 0}, "vocab_size=0 is not a size: use an int, 1 or more"),
        ({"decoder_vocab_size": -1}, "decoder_vocab_size=-1 is not a size"),
        ({"hidden_size": 0}, "hidden_size=0 is not a size"),
        ({"hidden_size": 1.5}, r"hidden_size=1\.5 is not a size"),
        ({"dropout": "0.5"}, r"dropout='0\.5' is not a share"),
        ({"dropout": 1.5}, "dropout=1.5 is not a share: use a number from 0 to 1"),
        ({"teacher_forcing_ratio": -0.1}, "teacher_forcing_ratio=-0.1 is not a share"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        RecurrentSeq2SeqConfig(**settings)
