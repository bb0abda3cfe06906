"""The configuration of a network over a group."""

from __future__ import annotations

import json

import pytest

from hf_equi import DemographicGroup
from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError, ConfigurationError, GroupError
from hf_equi.networks.recurrent_seq2seq import GroupRecurrentSeq2SeqConfig

GROUP = DemographicGroup([["jump", "run"], ["I_JUMP", "I_RUN"]])
SOURCE, TARGET = TokenMap(9, (((4, 7),),)), TokenMap(7, (((5, 6),),))


def settings(**changes: object) -> dict[str, object]:
    maps = {"group": GROUP.to_dict(), "source_map": SOURCE.to_dict(), "target_map": TARGET.to_dict()}
    return {"vocab_size": 9, "decoder_vocab_size": 7, **maps, **changes}


def test_without_a_group_it_is_a_config_all_the_same():
    config = GroupRecurrentSeq2SeqConfig()
    assert config.group is None
    with pytest.raises(ConfigurationError, match="needs a group and its tokens"):
        config.create_actions()


def test_a_stored_config_is_the_same_and_plain(tmp_path):
    config = GroupRecurrentSeq2SeqConfig(**settings(cell="gru"))
    config.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "config.json").read_text())
    assert (stored["model_type"], stored["group"]) == ("group_recurrent_seq2seq", GROUP.to_dict())
    assert GroupRecurrentSeq2SeqConfig.from_pretrained(tmp_path).to_dict() == config.to_dict()


def test_the_actions_are_rebuilt_from_it():
    source, target = GroupRecurrentSeq2SeqConfig(**settings()).create_actions()
    assert source.group == target.group == GROUP
    assert source.permutations[1].tolist() == [0, 1, 2, 3, 7, 5, 6, 4, 8]
    assert target.permutations[1].tolist() == [0, 1, 2, 3, 4, 6, 5]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"target_map": None}, ConfigurationError, "but only group, source_map was given: make the model with"),
        ({"group": None}, ConfigurationError, "but only source_map, target_map was given"),
        ({"group": {}}, GroupError, "A group is described by"),
        ({"group": GROUP.relax(neutral=["twice"]).to_dict()}, ConfigurationError, "no relaxed variant"),
        ({"vocab_size": 10}, ConfigurationError, "source_map was made for 9 tokens, but vocab_size is 10"),
        ({"decoder_vocab_size": 8}, ConfigurationError, "target_map was made for 7 tokens, but decoder_vocab_size"),
        ({"pad_token_id": 5}, ConfigurationError, "pad_token_id=5 is moved by target_map"),
        ({"eos_token_id": [2, 6]}, ConfigurationError, "leave the set with 6 out of the group"),
        ({"decoder_start_token_id": 5}, ConfigurationError, "decoder_start_token_id=5 is moved"),
        ({"source_map": TokenMap(9, (((4, 7, 5),),)).to_dict()}, ActionError, "Resolve the tokens again"),
        ({"target_map": {"vocab_size": 7}}, ActionError, "stored token map is damaged"),
        ({"cell": "mamba"}, ConfigurationError, "cell='mamba' is not known"),
    ],
)
def test_bad_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        GroupRecurrentSeq2SeqConfig(**settings(**changes))
