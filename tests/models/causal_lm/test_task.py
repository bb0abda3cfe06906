"""How `symmetrize` makes causal language models."""

from __future__ import annotations

import warnings

import pytest
from small_models import GENDER, base_model, tokenizer
from transformers import BertConfig, BertLMHeadModel

from hf_equi import DemographicGroup, EquiLMConfig, EquizeroLMConfig
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.errors import ActionError, ConfigurationError, HfEquiWarning
from hf_equi.generation.scorers import DEFAULT_REGARD
from hf_equi.models.causal_lm.task import CausalLMTask
from hf_equi.models.task import Request
from hf_equi.models.text.fingerprint import fingerprint

TASK = CausalLMTask()
UNKNOWN = DemographicGroup([["he", "she"], ["zebra", "giraffe"]])


def request(method="equitune", group=GENDER, **settings):
    return Request(base_model().config, group, method, tokenizer(), settings)


def by_length(texts):
    return [len(text) for text in texts]


def test_config_holds_the_tokens_of_the_group():
    config = TASK.make_config(request(average="probabilities", orbit_chunk_size=2))
    assert type(config) is EquiLMConfig
    assert (config.method, config.average, config.orbit_chunk_size) == ("equitune", "probabilities", 2)
    assert config.token_map == resolve_tokens(GENDER, tokenizer()).to_dict()
    assert TASK.wrap(config, base_model(), request()).config.tokenizer_fingerprint == fingerprint(tokenizer())
    assert config.group == GENDER.to_dict()
    assert config.base_name is None


def test_a_search_has_a_config_of_its_own():
    config = TASK.make_config(request("equizero", beam_length=3))
    assert type(config) is EquizeroLMConfig
    assert (config.beam_length, config.action, config.scorer_settings) == (3, "tokens", {"name": DEFAULT_REGARD})
    given = TASK.make_config(request("equizero", scorer=by_length))
    assert (given.beam_length, given.scorer_settings) == (5, None)


def test_words_of_several_tokens_are_in_the_config():
    config = TASK.make_config(request(group=UNKNOWN, multi_token="compose", look_ahead=0))
    assert (config.multi_token, config.look_ahead, config.unlooked_share) == ("compose", 0, 0.1)
    assert config.token_map == resolve_tokens(UNKNOWN, tokenizer(), multi_token="compose").to_dict()
    assert config.token_map["composed"]
    lm = TASK.wrap(config, base_model(), request())
    assert lm.action.composes
    assert lm.resolve(DemographicGroup([["tiger", "lion"]])).composes  # a group for one call
    for method, words in (("mixture", "action="), ("equizero", "action="), ("identity", "Leave it out")):
        with pytest.raises(ConfigurationError, match=f"'{method}' does not combine those. .*{words}"):
            TASK.make_config(request(method, UNKNOWN, multi_token="compose"))
        way = words if words == "action=" else "Leave them out"
        with pytest.raises(ActionError, match=f"of each set: zebra/giraffe. .*{way}"):
            TASK.make_config(request(method, UNKNOWN))


def test_words_without_a_token_raise_are_skipped_or_move_as_words():
    with pytest.raises(ActionError, match="zebra/giraffe"):
        TASK.make_config(request(group=UNKNOWN))
    with pytest.warns(HfEquiWarning, match="zebra/giraffe"):
        assert TASK.make_config(request(group=UNKNOWN, multi_token="skip")).multi_token == "skip"
    for method in ("equizero", "mixture", "canonical"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            config = TASK.make_config(request(method, UNKNOWN, action="words"))
        assert (config.action, config.multi_token) == ("words", "skip")
    within = DemographicGroup([["man", "woman"], ["old man", "old woman"]])
    with pytest.raises(ActionError, match="'man' is contained in 'old man' as a whole word"):
        TASK.make_config(request("equizero", within, scorer=by_length, action="words"))


@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical", "identity"])
def test_what_belongs_to_the_search_is_refused_elsewhere(method):
    settings = {"scorer": by_length, "beam_length": 3}
    message = rf"scorer, beam_length: only method='equizero' searches; '{method}' does not use these"
    with pytest.raises(ConfigurationError, match=message):
        TASK.make_config(request(method, **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"beam_length": 0}, "beam_length=0"), ({"action": "letters"}, "action='letters'"), ({"scorer": 3}, "scorer=3")],
)
def test_bad_settings_of_the_search_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        TASK.make_config(request("equizero", **settings))


@pytest.mark.parametrize("method", ["equitune", "mixture", "identity"])
def test_actions_that_a_method_does_not_have_are_refused(method):
    assert TASK.make_config(request(method, action="tokens")).action == "tokens"
    with pytest.raises(ConfigurationError, match="action='letters'"):
        TASK.make_config(request(method, action="letters"))
    if method != "mixture":
        with pytest.raises(ConfigurationError, match=f"action='words' needs .* '{method}' does not"):
            TASK.make_config(request(method, UNKNOWN, action="words"))


@pytest.mark.parametrize(("method", "kind"), [("equitune", "EquiLM"), ("equizero", "EquizeroLM")])
def test_the_base_is_wrapped_with_its_tokenizer(method, kind):
    asked = request(method, **({"scorer": by_length} if method == "equizero" else {}))
    lm = TASK.wrap(TASK.make_config(asked), base_model(), asked)
    assert type(lm).__name__ == kind
    assert lm.base is base_model()
    assert lm.tokenizer is tokenizer()
    assert getattr(lm, "scorer", by_length) is by_length


def test_models_that_read_both_ways_are_not_its_own():
    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    assert TASK.owns(base_model())
    assert not TASK.owns(BertLMHeadModel(BertConfig(**sizes)))
    assert TASK.owns(BertLMHeadModel(BertConfig(is_decoder=True, **sizes)))
