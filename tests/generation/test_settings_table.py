"""The table of settings knows all that the installed release has, and each setting does what it says there."""

from __future__ import annotations

import copy
import inspect
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import small_seq2seq
import torch
from searches import hashed
from small_models import BOTH, base_model, tokenizer
from transformers import CompileConfig, DynamicCache, GenerationConfig, GenerationMixin, QuantizedCache
from transformers import WatermarkingConfig as Watermark

import hf_equi
from hf_equi.actions import TokenPairAction
from hf_equi.bases.compat import CACHE, CACHE_NAMES
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.named_tokens import read_biases, read_tokens, read_words
from hf_equi.generation.settings_table import (
    ALONE,
    CAUSAL,
    ENCODER,
    METHODS,
    SEARCH,
    SETTINGS,
    TWO_VOCABULARIES,
    check_settings,
    value_reader,
)

LENGTH = {"max_new_tokens": 3}
DRAW = {"do_sample": True, "seed": 1}
BEAMS = {"num_beams": 2}
WHOLE = {"return_dict_in_generate": True}
WAYS = {CAUSAL: (CAUSAL,), ENCODER: (ENCODER,), ALONE: (ENCODER, ALONE), SEARCH: (SEARCH,)}
# How each setting is asked for that works, beside its number alone.
ASKED = {
    "assistant_confidence_threshold": {"assistant_model": "own"},
    "assistant_lookbehind": {"assistant_model": "own"},
    "target_lookbehind": {"assistant_model": "own"},
    "num_assistant_tokens": {"assistant_model": "own"},
    "num_assistant_tokens_schedule": {"assistant_model": "own"},
    "max_matching_ngram_size": {"prompt_lookup_num_tokens": 2},
    "early_stopping": BEAMS,
    "length_penalty": BEAMS,
    "min_length": {"max_length": 10},
    "output_logits": WHOLE,
    "output_scores": WHOLE,
    "max_cache_len": {"cache_implementation": "static"},
    **dict.fromkeys(("do_sample", "epsilon_cutoff", "eta_cutoff", "min_p", "num_return_sequences"), DRAW),
    **dict.fromkeys(("temperature", "top_h", "top_k", "top_p", "typical_p"), DRAW),
}
VALUES = {
    "assistant_confidence_threshold": 0.5, "assistant_lookbehind": 3, "assistant_model": "own", "bos_token_id": 5,
    "cache_config": {}, "cache_implementation": "static", "compile_config": CompileConfig(), "disable_compile": True,
    "do_sample": True, "early_stopping": True, "encoder_no_repeat_ngram_size": 2, "encoder_repetition_penalty": 1.5,
    "epsilon_cutoff": 0.01, "eta_cutoff": 0.01, "exponential_decay_length_penalty": (1, 1.5), "guidance_scale": 1.5,
    "is_assistant": False, "length_penalty": 0.5, "low_memory": False, "max_cache_len": 32, "max_length": 10,
    "max_matching_ngram_size": 1, "max_new_tokens": 2, "max_time": 60.0, "min_length": 9, "min_new_tokens": 2,
    "min_p": 0.01, "no_repeat_ngram_size": 2, "num_assistant_tokens": 2, "num_assistant_tokens_schedule": "constant",
    "num_beams": 3, "num_return_sequences": 2, "output_logits": True, "output_scores": True, "prefill_chunk_size": 2,
    "prompt_lookup_num_tokens": 2, "remove_invalid_values": True, "renormalize_logits": True,
    "repetition_penalty": 1.5, "return_dict_in_generate": True, "target_lookbehind": 3, "temperature": 0.7,
    "top_h": 0.5, "top_k": 5, "top_p": 0.7, "typical_p": 0.7, "use_cache": False,
}  # fmt: skip
REFUSED = {
    "assistant_early_exit": 1, "assistant_ensemble_weight": 0.5, "assistant_tokenizer": object(),
    "cache_implementation": "paged", "constraints": [object()], "continuous_batching_config": {},
    "custom_generate": "me/decoding", "diversity_penalty": 0.5, "dola_layers": "high", "encoder_outputs": object(),
    "force_words_ids": [[3]], "num_beam_groups": 2, "output_attentions": True, "output_hidden_states": True,
    "penalty_alpha": 0.6, "speculation_type": "mtp", "token_healing": True, "use_mtp": True,
    "watermarking_config": Watermark(), CACHE: object.__new__(QuantizedCache),
}  # fmt: skip
READERS = {
    read_tokens: lambda tokens: tokens,
    read_words: lambda tokens: [[0, token] for token in tokens],
    read_biases: lambda tokens: {(token,): 2.5 for token in tokens},
}
ONE_TEXT = {"assistant_model", "prompt_lookup_num_tokens"}
"""What speeds up one text at a time."""
ONE_TOKEN = {"decoder_start_token_id", "forced_bos_token_id", "pad_token_id"}


def works(name, way, value):
    if (name, way) == ("cache_implementation", SEARCH):
        return False  # another reason than the table's: the search sees which cache it is given
    return not (SETTINGS[name].asks(value) and SETTINGS[name].refused.keys() & set(WAYS[way]))


@cache
def model_of(way):
    if way in (ENCODER, ALONE):
        own = {"decoding": "independent"} if way == ALONE else {}
        return small_seq2seq.wrap("t5", small_seq2seq.THREE, **own)
    search = {"method": "equizero", "scorer": hashed} if way == SEARCH else {}
    return hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), **search)


def orbit(way):
    """A model, a prompt that only the identity fixes with its image by the last element, and how that moves texts."""
    model = model_of(way)
    action, g = model.action, model.group.order - 1
    read, written = (action.source, action.target) if isinstance(action, TokenPairAction) else (action, action)
    text = "jump and walk twice" if way in (ENCODER, ALONE) else "the black man met the black man"
    ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
    return model, torch.cat([ids, read.apply(g, ids)]), written, g


def texts(way, **settings):
    """What is written of a prompt, moved, and of its image."""
    model, ids, written, g = orbit(way)
    settings = {
        name: model if isinstance(value, str) and value == "own" else value for name, value in settings.items()
    }
    outs = [model.generate(part, **settings) for part in ids.split(1 if ONE_TEXT & settings.keys() else 2)]
    first, other = torch.cat([getattr(out, "sequences", out) for out in outs]).chunk(2)
    return written.apply(g, first).tolist(), other.tolist()


def test_the_table_knows_all_settings_and_methods_of_the_release():
    fields = {name for name in vars(GenerationConfig()) if not name.startswith("_")} - {"transformers_version"}
    arguments = set(inspect.signature(GenerationMixin.generate).parameters) - {"self", "kwargs"}
    assert fields | arguments <= SETTINGS.keys()
    assert {name for name in dir(GenerationMixin) if not name.startswith("_")} == METHODS.keys()


def test_the_tests_know_the_table():
    """What works is run below, what names tokens is named, and what is refused is asked for."""
    arguments = set(inspect.signature(GenerationMixin.generate).parameters) | {
        "attention_mask", "input_ids", "tokenizer", "trust_remote_code"
    }  # fmt: skip
    names = {name for name, setting in SETTINGS.items() if setting.names is not None}
    assert SETTINGS.keys() - arguments - VALUES.keys() - names - {*CACHE_NAMES} == (
        REFUSED.keys() - arguments - VALUES.keys() - {CACHE}
    )


def test_the_guarantees_name_what_does_not_simply_work():
    page = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text(encoding="utf-8")
    named = {name for name, setting in SETTINGS.items() if setting.refused or setting.names}
    inputs = {*CACHE_NAMES, "encoder_outputs"}
    assert not {name for name in named - inputs if f"`{name}`" not in page}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", VALUES)
def test_what_works_keeps_texts_of_an_orbit_together(way, name):
    if not works(name, way, VALUES[name]):
        return
    beside = {key: value for key, value in ASKED.get(name, {}).items() if key == "seed" or works(key, way, value)}
    length = {} if "max_length" in {name, *beside} else LENGTH
    moved, other = texts(way, **{**length, **beside, name: VALUES[name]})
    assert moved == other


@pytest.mark.parametrize("way", WAYS)
def test_what_is_refused_is_named(way):
    model, ids, _, _ = orbit(way)
    for name, value in {**VALUES, **REFUSED}.items():
        if not works(name, way, value):
            with pytest.raises(ConfigurationError, match=rf"^{name} .*(leave|Leave|take|call|Ask)"):
                model.generate(ids, **LENGTH, **{name: value})


@pytest.mark.parametrize("name", [name for name, each in SETTINGS.items() if each.names in READERS])
@pytest.mark.parametrize("way", WAYS)
def test_a_moved_token_that_is_named_without_its_images_is_warned_of(way, name):
    model, ids, written, _ = orbit(way)
    one = int(written.moved[0])
    whole = written.permutations[:, one].unique().tolist()
    make = READERS[SETTINGS[name].names]
    value = one if name in ONE_TOKEN else make([one])
    with pytest.warns(
        HfEquiWarning, match=rf"^{name} names a word .* but not .*\[.*{whole[-1]}\] in the same way"
    ) as caught:
        model.generate(ids[:1], **LENGTH, **{name: value})
    assert {each.filename for each in caught} == {__file__}
    if name not in ONE_TOKEN:  # the whole orbit, and no warning
        moved, other = texts(way, **LENGTH, **{name: make(whole)})
        assert moved == other


@pytest.mark.parametrize("way", WAYS)
def test_strings_that_end_texts(way):
    model, ids, _, _ = orbit(way)
    word, images = ("walk", ["look", "skip"]) if way in (ENCODER, ALONE) else ("the man", ["the woman"])
    given = {**LENGTH, "tokenizer": tokenizer()}
    with pytest.warns(HfEquiWarning, match=f"^stop_strings names a word .* but not '{images[0]}'"):
        model.generate(ids, stop_strings=word, **given)
    model.generate(ids, stop_strings=[word, *images], **given)


def test_named_tokens_lose_the_guarantee():
    """What the warning says is so: with one of two words banned, texts are not images of each other."""
    model, ids, written, _ = orbit(CAUSAL)
    others = [[token] for token in range(model.config.vocab_size) if token not in written.moved.tolist()]
    moved, other = texts(CAUSAL, **LENGTH, bad_words_ids=others)
    assert moved == other
    banned = model.generate(ids[:1], **LENGTH, bad_words_ids=others)[0, ids.shape[1]]
    with pytest.warns(HfEquiWarning, match="bad_words_ids"):
        moved, other = texts(CAUSAL, **LENGTH, bad_words_ids=[*others, [int(banned)]])
    assert moved != other


def test_a_method_without_a_guarantee_is_not_warned_of():
    model = hf_equi.symmetrize(base_model(), BOTH, "identity", tokenizer=tokenizer())
    model.generate(torch.tensor([[5, 6]]), bad_words_ids=[[int(model.action.moved[0])]], **LENGTH)


def test_words_of_the_search_that_name_tokens_are_those_of_each_member():
    own = {"method": "equizero", "scorer": hashed, "action": "words"}
    model = hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), **own)
    man = tokenizer()(" man")["input_ids"]
    model.generate(torch.tensor([[5, 6]]), bad_words_ids=[man], stop_strings="the man", **LENGTH)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("where", ["call", "given", "own"])
def test_settings_are_found_wherever_they_stand(where, way):
    model, ids, _, _ = orbit(way)
    model = copy.deepcopy(model)
    paged = {"cache_implementation": "paged"}
    if where == "own":
        model.generation_config.cache_implementation = "paged"
    call = {"call": paged, "given": {"generation_config": GenerationConfig(**paged)}, "own": {}}[where]
    with pytest.raises(ConfigurationError, match=r"^cache_implementation asks for a cache"):
        model.generate(ids, **call)
    model.generate(ids, **{**LENGTH, "cache_implementation": None})


@pytest.mark.parametrize("name", [name for name, reason in METHODS.items() if reason])
@pytest.mark.parametrize("way", WAYS)
def test_methods_that_are_refused(way, name):
    with pytest.raises(ConfigurationError, match=f"^{name} .*: (call|leave)"):
        getattr(model_of(way), name)([[5, 6]])


def test_values_that_ask_for_nothing_are_taken():
    """Such as stand in configs of older releases."""
    neutral = {
        "num_beam_groups": 1, "diversity_penalty": 0.0, "encoder_repetition_penalty": 1.0, "guidance_scale": 1,
        "penalty_alpha": 0.0, "encoder_no_repeat_ngram_size": 0, "num_beams": 1, "token_healing": False,
        "output_attentions": False, "use_mtp": False, "cache_implementation": "dynamic", "cache": DynamicCache(),
    }  # fmt: skip
    check_settings(neutral.get, (CAUSAL, ENCODER, ALONE, TWO_VOCABULARIES, SEARCH))


@pytest.mark.parametrize(
    ("name", "value"),
    [("penalty_alpha", np.float32(0.6)), ("num_beam_groups", np.int64(2)), ("num_beams", torch.tensor(2))],
)
def test_numbers_of_every_kind_are_read(name, value):
    with pytest.raises(ConfigurationError, match=f"^{name} asks for"):
        check_settings({name: value}.get, (SEARCH,))


def test_ids_of_two_vocabularies_are_not_compared():
    model = small_seq2seq.wrap("lstm", small_seq2seq.THREE)
    with pytest.raises(ConfigurationError, match=r"^encoder_repetition_penalty compares the source's token ids"):
        model.generate(**small_seq2seq.encode(model), encoder_repetition_penalty=1.5, **LENGTH)


def test_values_that_transformers_refuses_are_left_to_it():
    model, ids, _, _ = orbit(CAUSAL)
    with warnings.catch_warnings(), pytest.raises(ValueError, match="bad_words_ids"):
        model.generate(ids, bad_words_ids=[3], **LENGTH)


def test_arguments_win_over_the_config_of_the_call_and_that_over_the_models():
    own, given = GenerationConfig(top_k=2, top_p=0.5), GenerationConfig(top_k=3)
    value_of = value_reader(own, given, {"top_p": None, "seed": 4})
    assert [value_of(name) for name in ("top_k", "top_p", "seed", "min_p", "nothing")] == [3, None, 4, None, None]
    assert value_reader(own, None, {})("top_k") == 2


@pytest.mark.parametrize("way", WAYS)
def test_a_config_that_is_a_dictionary_is_refused(way):
    with pytest.raises(ConfigurationError, match=r"generation_config=\{.*\} is not a GenerationConfig: pass one, Gen"):
        model_of(way).generate(orbit(way)[1], generation_config={"max_new_tokens": 2})
