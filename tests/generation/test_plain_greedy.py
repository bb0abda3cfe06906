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


def test_a_config_that_names_all_defaults_asks_for_nothing():
    """As a `Trainer` saves it; the length of the call counts, and not the default one beside it."""
    saved = GenerationConfig(
        **OWN, max_length=20, min_length=0, do_sample=False, use_cache=True, early_stopping=False, num_beams=1,
        temperature=1.0, top_k=50, top_p=1.0, typical_p=1.0, epsilon_cutoff=0.0, eta_cutoff=0.0, length_penalty=1.0,
        repetition_penalty=1.0, encoder_repetition_penalty=1.0, no_repeat_ngram_size=0, num_return_sequences=1,
        encoder_no_repeat_ngram_size=0, num_beam_groups=1, diversity_penalty=0.0, num_assistant_tokens=20,
        num_assistant_tokens_schedule="constant", assistant_confidence_threshold=0.4, output_scores=False,
    )  # fmt: skip
    assert PlainGreedy.read(saved, None, {}, SIZE) == PlainGreedy(1, 19, 0, (2,))
    assert PlainGreedy.read(saved, None, {"max_new_tokens": 5}, SIZE) == PlainGreedy(1, 5, 0, (2,))
    saved.temperature = 0.7
    call = GenerationConfig(top_k=50, temperature=1.0, length_penalty=1.0, max_new_tokens=5)
    assert PlainGreedy.read(saved, call, {"top_p": None}, SIZE) == PlainGreedy(1, 5, 0, (2,))
    saved.early_stopping = "often"
    assert PlainGreedy.read(saved, None, {"max_new_tokens": 5}, SIZE) is None
    saved.early_stopping, saved.repetition_penalty = False, 1.1
    assert PlainGreedy.read(saved, None, {"max_new_tokens": 5}, SIZE) is None


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
        {"early_stopping": "often"},  # an error
        {"temperature": 0.5},  # which are not read, and it says so
        {"given": GenerationConfig(top_k=1, max_new_tokens=5), "max_new_tokens": None},
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
