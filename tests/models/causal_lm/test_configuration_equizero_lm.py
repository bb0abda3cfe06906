from __future__ import annotations

import pytest
from transformers import AutoConfig

from hf_equi import DemographicGroup
from hf_equi.errors import ActionError, ConfigurationError
from hf_equi.models.causal_lm import EquiLMConfig, EquizeroLMConfig


def test_round_trip_through_the_auto_class(tmp_path):
    scorer = {"name": "demo", "score": "label", "mask": None, "batch_size": 8}
    config = EquizeroLMConfig(beam_length=3, action="words", scorer_settings=scorer)
    config.save_pretrained(tmp_path)
    loaded = AutoConfig.from_pretrained(tmp_path)
    assert type(loaded) is EquizeroLMConfig
    assert (loaded.beam_length, loaded.action, loaded.scorer_settings) == (3, "words", scorer)
    assert loaded.method == "equizero"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"beam_length": 0}, "beam_length=0 is not a number of tokens"),
        ({"action": "letters"}, "action='letters' is not known: use one of 'tokens', 'words'"),
        ({"method": "mixture"}, "'equizero_lm' model does not have the method 'mixture'"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        EquizeroLMConfig(**settings)


def test_a_group_that_texts_could_not_be_moved_back_by_is_refused_where_words_move():
    group = DemographicGroup([["man", "woman"], ["old man", "old woman"]]).to_dict()
    with pytest.raises(ActionError, match="'man' is contained in 'old man' as a whole word"):
        EquizeroLMConfig(action="words", group=group)
    assert EquizeroLMConfig(group=group).action == "tokens"


def test_an_equi_lm_does_not_search():
    with pytest.raises(ConfigurationError, match="'equi_lm' model does not have the method 'equizero'"):
        EquiLMConfig(method="equizero")
    assert EquiLMConfig().search_settings is None
    assert EquizeroLMConfig(beam_length=3).search_settings == {"beam_length": 3}
