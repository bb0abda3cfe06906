"""The table of settings knows all that the installed release has, and each setting does what it says there."""

from __future__ import annotations

import copy
import inspect
import warnings
from pathlib import Path

import numpy as np
import pytest
import small_seq2seq
import torch
from generate_calls import (
    ARGUMENTS,
    AS_THE_BASE,
    ASKED,
    BEAMS,
    DRAW,
    IN_TOKENS,
    LENGTH,
    ONE_TEXT,
    ONE_TOKEN,
    READERS,
    REFUSED,
    VALUES,
    WAYS,
    WHOLE,
    guided,
    model_of,
    orbit,
    texts,
    works,
)
from searches import hashed
from small_models import BOTH, base_model, tokenizer
from torch import distributed
from transformers import (
    DynamicCache,
    GenerationConfig,
    GenerationMixin,
)

import hf_equi
from hf_equi.bases.compat import CACHE_NAMES
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.settings_table import (
    ALONE,
    CAUSAL,
    ENCODER,
    METHODS,
    SEARCH,
    SETTINGS,
    TWO_VOCABULARIES,
    WORDS,
    check_settings,
    value_reader,
)


def test_the_table_knows_all_settings_and_methods_of_the_release():
    fields = {name for name in vars(GenerationConfig()) if not name.startswith("_")} - {"transformers_version"}
    arguments = set(inspect.signature(GenerationMixin.generate).parameters) - {"self", "kwargs"}
    assert fields | arguments <= SETTINGS.keys()
    assert {name for name in dir(GenerationMixin) if not name.startswith("_")} == METHODS.keys()


def test_the_tests_know_the_table():
    """What works is run below, what names tokens is named, and what is refused is asked for."""
    run = VALUES.keys() | ARGUMENTS.keys() | {name for name, each in SETTINGS.items() if each.names in READERS}
    refused = {name for name, each in SETTINGS.items() if each.refused}
    everywhere = {name for name in refused if {*WAYS} - {ALONE} <= SETTINGS[name].refused.keys()}
    assert SETTINGS.keys() - everywhere <= run
    assert refused - {*CACHE_NAMES} <= REFUSED.keys() | VALUES.keys()
    assert {name for name, reason in METHODS.items() if not reason} == {
        *("generate", "prepare_inputs_for_generation"),  # which all tests call
        *("compute_transition_scores", *AS_THE_BASE),
    }


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


@pytest.fixture(scope="module")
def _group_of_one():
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.usefixtures("_group_of_one")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_that_work_keep_texts_of_an_orbit_together(way, name):
    model, ids, written, g = orbit(way)
    if name == "encoder_outputs" and not model.config.is_encoder_decoder:
        return
    outs = []
    for part in ids.split(1 if name in ONE_TEXT else 2):
        given = {"inputs": part, **ARGUMENTS[name](model, part)}
        if not all(works(each, way, value) for each, value in given.items() if each in SETTINGS):
            return
        outs.append(model.generate(**LENGTH, **given))
    first, other = torch.cat(outs).chunk(2)
    assert written.apply(g, first).tolist() == other.tolist()


@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical"])
def test_a_negative_prompt_guides_all_texts_of_an_orbit_alike(method):
    model = hf_equi.symmetrize(base_model(), BOTH, method, tokenizer=tokenizer())
    ids, given = orbit(CAUSAL)[1], {**LENGTH, "seed": 3, "output_scores": True, **WHOLE}
    out = model.generate(ids, **given, **guided(ids))
    assert torch.equal(model.action.apply(model.group.order - 1, out.sequences[0]), out.sequences[1])
    assert not torch.allclose(out.scores[0], model.generate(ids, **given).scores[0], atol=1e-3)
    if method == "equitune":
        negative = guided(ids)
        asked = model(ids).logits[:, -1].log_softmax(-1)
        other = model(negative["negative_prompt_ids"], negative["negative_prompt_attention_mask"]).logits[:, -1]
        other = other.log_softmax(-1)
        assert torch.allclose(out.scores[0], other + 1.5 * (asked - other), atol=1e-4)


def test_a_negative_prompt_with_a_moved_word_is_warned_of():
    """Unless each prompt of the whole orbit has the image that is its own; without guidance it has no effect."""
    model, ids, written, _ = orbit(CAUSAL)
    elements = range(model.group.order)
    everyone = torch.cat([written.apply(g, ids[:1]) for g in elements])
    named = torch.tensor([tokenizer()("the man")["input_ids"]])
    given = {**LENGTH, "guidance_scale": 1.5, "output_scores": True, **WHOLE}
    with pytest.warns(HfEquiWarning, match=r"^negative_prompt_ids names a word .* but does not treat 'the woman' \["):
        losing = model.generate(ids, negative_prompt_ids=named.expand(2, -1), **given)
    whole = model.generate(
        everyone, negative_prompt_ids=torch.cat([written.apply(g, named) for g in elements]), **given
    )
    assert all(torch.equal(written.apply(g, whole.sequences[0]), whole.sequences[g]) for g in elements)
    assert not torch.allclose(losing.scores[0][1], whole.scores[0][-1], atol=1e-3)
    model.generate(ids, negative_prompt_ids=named.expand(2, -1), **LENGTH)


@pytest.mark.parametrize("how", [{}, BEAMS, DRAW], ids=["greedy", "beams", "sampled"])
@pytest.mark.parametrize("way", [CAUSAL, ENCODER, TWO_VOCABULARIES, SEARCH])
def test_transition_scores_are_those_of_the_tokens_that_were_written(way, how):
    """The same of a text and of its image."""
    if (way, how) == (SEARCH, BEAMS):
        return
    model, ids, _, _ = orbit(way)
    out = model.generate(ids, **{**LENGTH, "min_new_tokens": 3}, **how, **WHOLE, output_scores=True)
    beams = out.get("beam_indices", torch.arange(2)[:, None].expand(2, 3))
    raw = torch.stack(out.scores, 1)
    for normalised, scores in ((False, raw), (True, raw.log_softmax(-1))):
        found = model.compute_transition_scores(out.sequences, out.scores, out.get("beam_indices"), normalised)
        assert torch.allclose(found, scores[beams[:, :3], torch.arange(3), out.sequences[:, -3:]])
        assert torch.allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize("way", [CAUSAL, ENCODER])
@pytest.mark.parametrize("name", AS_THE_BASE)
def test_methods_do_what_those_of_the_base_do(way, name, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    GenerationConfig(num_beams=2).save_pretrained(tmp_path)
    (tmp_path / "custom_generate").mkdir()
    (tmp_path / "custom_generate" / "generate.py").write_text("def generate():\n    return 'from the folder'\n")
    model = copy.deepcopy(model_of(way))
    assert AS_THE_BASE[name](model, str(tmp_path)) == AS_THE_BASE[name](model.base, str(tmp_path))


@pytest.mark.parametrize("way", WAYS)
def test_what_is_refused_is_named(way):
    model, ids, _, _ = orbit(way)
    for name, value in {**VALUES, **REFUSED}.items():
        if not works(name, way, value):
            with pytest.raises(ConfigurationError, match=rf"^{name} .*(leave|Leave|use|call|Call)"):
                model.generate(ids, **LENGTH, **{name: value})


@pytest.mark.parametrize("name", [name for name, each in SETTINGS.items() if each.names in READERS])
@pytest.mark.parametrize("way", IN_TOKENS)
def test_a_moved_token_that_is_named_without_its_images_is_warned_of(way, name):
    model, ids, written, _ = orbit(way)
    one = int(written.moved[0])
    whole = written.permutations[:, one].unique().tolist()
    make = READERS[SETTINGS[name].names]
    value = one if name in ONE_TOKEN else make([one])
    with pytest.warns(
        HfEquiWarning, match=rf"^{name} names a word .* but does not treat .*\[.*{whole[-1]}\] in the same way"
    ) as caught:
        model.generate(ids[:1], **LENGTH, **{name: value})
    assert {each.filename for each in caught} == {__file__}
    if name not in ONE_TOKEN:  # the whole orbit, and no warning
        moved, other = texts(way, **LENGTH, **{name: make(whole)})
        assert moved == other


@pytest.mark.parametrize("way", IN_TOKENS)
def test_strings_that_end_texts(way):
    model, ids, _, _ = orbit(way)
    word, images = ("walk", ["look", "skip"]) if way in (ENCODER, ALONE) else ("the man", ["the woman"])
    given = {**LENGTH, "tokenizer": tokenizer()}
    with pytest.warns(HfEquiWarning, match=f"^stop_strings names a word .* but does not treat '{images[0]}'"):
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


@pytest.mark.parametrize("own", [{"method": "equizero", "scorer": hashed}, {"method": "canonical"}])
def test_on_words_settings_that_name_tokens_are_those_of_each_member(own):
    model = hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer(), action="words", **own)
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
    check_settings({**neutral, "cache": None}.get, (WORDS,))


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
    with pytest.raises(ConfigurationError, match=r"generation_config=\{.*\} is not a GenerationConfig: pass Gen"):
        model_of(way).generate(orbit(way)[1], generation_config={"max_new_tokens": 2})
