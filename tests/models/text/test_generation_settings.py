"""What a call of `generate` asks for."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig

from hf_equi.errors import ConfigurationError
from hf_equi.models.text.generation_settings import GenerationSettings


def read(own=None, given=None, **kwargs):
    return GenerationSettings.read(GenerationConfig(**(own or {})), given, kwargs)


def test_arguments_win_over_the_config_of_the_call_and_that_over_the_models():
    given = GenerationConfig(num_beams=3)
    assert read({"num_beams": 2}).num_beams == 2
    assert read({"num_beams": 2}, given).num_beams == 3
    assert read({"num_beams": 2}, given, num_beams=4).num_beams == 4


@pytest.mark.parametrize("token", [5, [5], torch.tensor(5)])
def test_a_text_begins_with_the_token_of_the_config(token):
    assert read({"bos_token_id": token}).begin(2, torch.device("cpu")).tolist() == [[5], [5]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bos_token_id": [3, 4]}, r"^bos_token_id=\[3, 4\] names 2 tokens: name one"),
        ({"pad_token_id": [3, 4]}, r"^pad_token_id=\[3, 4\] names 2 tokens"),
        ({"bos_token_id": "<s>"}, "^bos_token_id='<s>' is not a token"),
        ({"pad_token_id": 1.5}, r"^pad_token_id=1\.5 is not a token"),
        ({"eos_token_id": "</s>"}, "^eos_token_id='</s>' is not a token"),
    ],
    ids=str,
)
def test_what_is_not_one_token_is_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        read(**settings)


@pytest.mark.parametrize(
    ("kwargs", "mode"),
    [
        ({}, "greedy"),
        ({"num_beams": 2}, "beams"),
        ({"do_sample": True}, "sample"),
        ({"do_sample": True, "num_beams": 2}, None),
    ],
)
def test_noise_mode(kwargs, mode):
    assert read(**kwargs).noise_mode == mode


def test_sampled_beams_have_no_seed():
    read(do_sample=True, num_beams=2).check_seed(None)
    with pytest.raises(ConfigurationError, match="num_beams=1"):
        read(do_sample=True, num_beams=2).check_seed(0)


def test_samples_are_expanded():
    ids, mask = torch.arange(4).view(2, 2), torch.ones(2, 2)
    expanded, kwargs = read(num_return_sequences=2, do_sample=True).expand_samples(
        ids, {"attention_mask": mask, "num_return_sequences": 2, "top_k": 3}
    )
    assert expanded[:, 0].tolist() == [0, 0, 2, 2]
    assert kwargs["attention_mask"].shape == (4, 2)
    assert (kwargs["num_return_sequences"], kwargs["top_k"]) == (1, 3)


@pytest.mark.parametrize("seed", ["a", 1.5, -1, 2**63])
def test_what_is_not_a_seed_is_refused(seed):
    with pytest.raises(ConfigurationError, match="is not a seed"):
        read(do_sample=True).check_seed(seed)
