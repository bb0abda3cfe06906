from __future__ import annotations

import copy

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import GenerationConfig, TextIteratorStreamer

from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.custom_generate import generate

SETTINGS = {"do_sample": False, "max_new_tokens": 4}


def lengths(texts: list[str]) -> torch.Tensor:
    return torch.tensor([float(len(text) % 7) for text in texts])


def test_group_and_tokenizer_are_asked_for():
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    for given in ({"group": GENDER}, {"tokenizer": tokenizer()}):
        with pytest.raises(ConfigurationError, match="needs a group and the model's tokenizer"):
            generate(base_model(), scorer=lengths, **given, **prompts, **SETTINGS)


def test_arguments_that_generate_fills_with_none_are_left_out():
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    texts = generate(
        base_model(),
        group=BOTH,
        tokenizer=tokenizer(),
        scorer=lengths,
        assistant_model=None,
        generation_config=None,
        **prompts,
        **SETTINGS,
    )
    assert texts.shape == (1, prompts["input_ids"].shape[1] + 4)


def test_the_streamer_gets_the_prompt_and_every_round():
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    streamer = TextIteratorStreamer(tokenizer(), timeout=5)
    texts = generate(
        base_model(), group=GENDER, tokenizer=tokenizer(), scorer=lengths, beam_length=3, streamer=streamer,
        **prompts, **SETTINGS,
    )  # fmt: skip
    assert "".join(streamer) == tokenizer().decode(texts[0])


@pytest.mark.parametrize("where", ["call", "given", "own"])
def test_stop_strings_are_read_from_everywhere(where):
    model = copy.deepcopy(base_model())
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    width = prompts["input_ids"].shape[1]
    # One token a draft, so that the end of a draft changes no choice.
    call = {"group": GENDER, "tokenizer": tokenizer(), "scorer": lengths, "beam_length": 1, **prompts}
    whole = generate(model, **call, max_new_tokens=6)[0]
    assert len(whole) == width + 6
    stop = tokenizer().decode(whole[: width + 2])[len(tokenizer().decode(whole[:width])) :]
    given = {"max_new_tokens": 6}
    if where == "call":
        given["stop_strings"] = [stop]
    elif where == "given":
        given = {"generation_config": GenerationConfig(stop_strings=[stop], max_new_tokens=6)}
    else:
        model.generation_config.stop_strings = [stop]
    with pytest.warns(HfEquiWarning, match="stop_strings names a word"):  # as the text has one there
        assert generate(model, **call, **given).shape[1] <= width + 2
    if where == "given":
        assert given["generation_config"].stop_strings == [stop]


def test_no_end_of_texts_is_a_setting():
    """`None` for what is not an argument of `generate` says that there is none."""
    model = copy.deepcopy(base_model())
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    call = {"group": GENDER, "tokenizer": tokenizer(), "scorer": lengths, "beam_length": 1, **prompts}
    free = generate(model, **call, max_new_tokens=6, eos_token_id=None)
    model.generation_config.eos_token_id = int(free[0, prompts["input_ids"].shape[1]])
    with pytest.warns(HfEquiWarning, match="eos_token_id names a word"):
        assert generate(model, **call, max_new_tokens=6).shape[1] < free.shape[1]
    assert torch.equal(generate(model, **call, max_new_tokens=6, eos_token_id=None), free)


@pytest.mark.parametrize("where", ["call", "given"])
def test_settings_that_the_search_cannot_keep_are_refused_before_generate_sees_them(where):
    """Of a paged cache it would not call the search, and return the base's texts."""
    prompts = tokenizer()(["The man worked as"], return_tensors="pt")
    paged = {"cache_implementation": "paged"}
    given = paged if where == "call" else {"generation_config": GenerationConfig(**paged)}
    with pytest.raises(
        ConfigurationError, match=r"^cache_implementation asks for a cache that cannot take drafts back"
    ):
        generate(base_model(), group=GENDER, tokenizer=tokenizer(), scorer=lengths, **prompts, **given)
