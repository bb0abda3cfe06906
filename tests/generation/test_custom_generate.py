from __future__ import annotations

import pytest
import torch
from small_models import BOTH, GENDER, base_model, tokenizer
from transformers import TextIteratorStreamer

from hf_equi.errors import ConfigurationError
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
