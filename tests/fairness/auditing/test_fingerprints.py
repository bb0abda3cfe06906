"""Descriptions differ where texts may, and only there."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from peft import get_peft_model
from small_adapters import layers
from small_models import BOTH, GENDER, base_model, tokenizer
from tokenizers import decoders, normalizers, pre_tokenizers
from transformers import AutoTokenizer, ByT5Tokenizer, PreTrainedTokenizerBase

import hf_equi
from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.weights_fingerprint import weights_fingerprint
from hf_equi.fairness.auditing.fingerprints import describe_model, describe_scorer, describe_tokenizer
from hf_equi.generation.subject_mask import SubjectMask


def test_a_model_is_known_by_what_it_does_and_not_by_where_it_lies(tmp_path) -> None:
    base_model().save_pretrained(tmp_path)
    loaded = type(base_model()).from_pretrained(tmp_path)
    assert describe_model(loaded, {}) == describe_model(base_model(), {})
    loaded.generation_config.repetition_penalty = 1.2
    assert describe_model(loaded, {}) != describe_model(base_model(), {})


@pytest.mark.parametrize(
    "other",
    [
        {"method": "mixture"},
        {"group": GENDER},
        {"group": BOTH.relax(neutral=["nurse"])},
        {"average": "probabilities"},
    ],
)
def test_the_settings_of_a_method_count(other) -> None:
    first, second = (
        hf_equi.symmetrize(base_model(), tokenizer=tokenizer(), **{"group": BOTH, **settings})
        for settings in ({}, other)
    )
    assert describe_model(first, {}) != describe_model(second, {})
    assert describe_model(first, {})["weights"] == describe_model(base_model(), {})["weights"]


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False:UserWarning")  # peft mends it for GPT-2
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # by peft
def test_the_weights_of_an_adapted_base_have_the_names_of_the_base() -> None:
    """As the card of the model looks for them."""
    adapted = get_peft_model(copy.deepcopy(base_model()), layers("lora", target_modules=["c_attn"]))
    lm = hf_equi.symmetrize(adapted, GENDER, tokenizer=tokenizer())
    assert describe_model(lm, {})["weights"] == weights_fingerprint(lm.base)


def test_a_base_that_models_share_is_read_once() -> None:
    known = {id(base_model()): "read before"}
    lm = hf_equi.symmetrize(base_model(), GENDER, tokenizer=tokenizer())
    assert describe_model(lm, known)["weights"] == "read before"


def test_scorers_are_told_apart(regard) -> None:
    def loss(texts: list[str]) -> torch.Tensor:
        return torch.zeros(len(texts))

    scorers = [regard(), regard(SubjectMask(GENDER)), regard(SubjectMask(BOTH)), loss]
    described = [json.dumps(describe_scorer(scorer, {})) for scorer in scorers]
    assert len(set(described)) == 4
    assert describe_scorer(regard(), {}) == describe_scorer(regard(), {})


def test_the_weights_of_a_scorer_count(regard) -> None:
    first, second = regard(), regard()
    first.model, second.model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
    assert describe_scorer(first, {}) != describe_scorer(second, {})


def other_rules(part: str, value: object) -> PreTrainedTokenizerBase:
    """The tokenizer of these tests with another part, and the same vocabulary."""
    made = copy.deepcopy(tokenizer())
    setattr(made.backend_tokenizer, part, value)
    assert made.get_vocab() == tokenizer().get_vocab()
    return made


@pytest.mark.parametrize(
    "other",
    [
        lambda: other_rules("normalizer", normalizers.Lowercase()),
        lambda: other_rules("pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)),
        lambda: other_rules("decoder", decoders.Fuse()),
        lambda: AutoTokenizer.from_pretrained(embedded_folder("demo_lm")),
    ],
    ids=["normalizer", "pre_tokenizer", "decoder", "vocabulary"],
)
def test_a_tokenizer_is_known_by_how_it_reads_and_writes(other) -> None:
    assert describe_tokenizer(other()) != describe_tokenizer(tokenizer())


def test_a_tokenizer_is_the_same_wherever_it_lies_and_however_it_was_called(tmp_path) -> None:
    described = describe_tokenizer(tokenizer())
    json.dumps(described)
    tokenizer().save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    loaded(["the man", "he"], padding=True, truncation=True, max_length=1)
    assert describe_tokenizer(loaded) == described


def test_a_tokenizer_in_python_is_known_by_its_settings() -> None:
    first, same, second = (ByT5Tokenizer(extra_ids=0, do_x=value) for value in (1, 1, 2))
    assert first.get_vocab() == second.get_vocab()
    assert describe_tokenizer(first) == describe_tokenizer(same) != describe_tokenizer(second)


def test_the_tokenizer_of_a_scorer_counts(regard) -> None:
    first, second = regard(), regard()
    first.tokenizer, second.tokenizer = tokenizer(), other_rules("normalizer", normalizers.Lowercase())
    assert describe_scorer(first, {}) != describe_scorer(second, {})


@pytest.mark.parametrize("side", ["truncation_side", "padding_side"])
def test_the_side_at_which_a_scorer_cuts_and_fills_up_texts_counts(regard, side) -> None:
    first, second = regard(), regard()
    for scorer, value in ((first, "left"), (second, "right")):
        scorer.tokenizer = copy.deepcopy(tokenizer())
        setattr(scorer.tokenizer, side, value)
    assert describe_scorer(first, {}) != describe_scorer(second, {})
