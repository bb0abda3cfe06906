"""Which calls of `generate` a plain loop answers, and which need transformers."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from hf_equi.generation.plain_greedy import PlainGreedy

SIZE = 10
OWN = {"decoder_start_token_id": 1, "pad_token_id": 0, "eos_token_id": 2}


def read(given=None, **settings):
    return PlainGreedy.read(GenerationConfig(**OWN), given, settings, SIZE)


def test_limits_are_read_from_the_call_then_its_config_then_the_models():
    assert read(max_new_tokens=5) == PlainGreedy(1, 5, 0, (2,))
    assert read(max_length=5, eos_token_id=[2, 3]) == PlainGreedy(1, 4, 0, (2, 3))
    given = GenerationConfig(max_new_tokens=7, pad_token_id=9, num_beams=1, do_sample=False)
    assert read(given) == PlainGreedy(1, 7, 9, (2,))
    assert read(max_new_tokens=5, max_length=None, eos_token_id=None) == PlainGreedy(1, 5, 0, ())
    assert read(given, max_new_tokens=3, attention_mask=torch.ones(1, 2), group=None) == PlainGreedy(1, 3, 9, (2,))


@pytest.mark.parametrize(
    "settings",
    [
        {"do_sample": True},
        {"num_beams": 2},
        {"num_return_sequences": 2},
        {"use_cache": False},
        {"min_new_tokens": 2},
        {"repetition_penalty": 1.5},
        {"forced_eos_token_id": 2},
        {"return_dict_in_generate": True},
        {"max_time": 1.0},
        {"decoder_input_ids": torch.ones(1, 2)},
        {"a_setting_of_a_later_release": 3},
        {"max_length": 9},  # beside max_new_tokens: transformers says which of them counts
        {"pad_token_id": torch.tensor(0)},
        {"max_new_tokens": 0},
        {"max_new_tokens": 4.0},
        {"decoder_start_token_id": None},  # which may take that of the beginning
        {"pad_token_id": None},
        {"num_beams": None},
        {"use_cache": None},
        {"decoder_start_token_id": SIZE},
        {"pad_token_id": -1},
        {"eos_token_id": [2, SIZE]},
        {"a_misspelt_setting": False},
    ],
    ids=lambda settings: " ".join(f"{name}={value}" for name, value in settings.items())[:40],
)
def test_all_else_is_left_to_transformers(settings):
    assert read(**{"max_new_tokens": 5} | settings) is None
    assert read(max_new_tokens=5) is not None


def test_calls_without_a_length_start_or_padding_are_left_to_transformers():
    assert read() is None
    for name in ("decoder_start_token_id", "pad_token_id"):
        own = GenerationConfig(**{key: value for key, value in OWN.items() if key != name})
        assert PlainGreedy.read(own, None, {"max_new_tokens": 5}, SIZE) is None
