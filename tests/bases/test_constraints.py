"""Constraints are asked for the prompt of a row."""

from __future__ import annotations

import pytest
import torch
from small_models import GENDER, base_model, tokenizer
from transformers import LogitsProcessorList, PrefixConstrainedLogitsProcessor, TopKLogitsWarper

import hf_equi
from hf_equi.bases.constraints import asked_by_prompt

PROMPTS = ["the man met", "He met the woman", "the nurse"]


def test_only_constraints_are_replaced_and_the_order_stays():
    other = TopKLogitsWarper(2)
    constraint = PrefixConstrainedLogitsProcessor(lambda number, sent: [number], num_beams=3)
    processors = asked_by_prompt(LogitsProcessorList([other, constraint, other]), lambda row: [2, 0][row])
    assert processors[0] is processors[2] is other
    scores = processors[1](torch.zeros(2, 1, dtype=torch.long), torch.zeros(2, 4))
    assert scores.isfinite().nonzero().tolist() == [[0, 2], [1, 0]]


@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical", "identity"])
@pytest.mark.parametrize("positional", [False, True])
def test_the_number_is_that_of_the_prompt_for_every_sample(method, positional):
    """transformers 5.23 numbers the samples, and methods of one row make a prompt of each sample themselves."""
    lm = hf_equi.symmetrize(base_model("gpt2"), GENDER, method, tokenizer=tokenizer())
    batch, seen = tokenizer()(PROMPTS, return_tensors="pt", padding=True), set()

    def allowed(number, sent):
        seen.add(number)
        return [10 + number]

    behind = (None, None, None, allowed) if positional else ()
    named = {} if positional else {"prefix_allowed_tokens_fn": allowed}
    inputs = batch.pop("input_ids")
    settings = {"do_sample": True, "num_return_sequences": 2, "max_new_tokens": 3, **named}
    texts = lm.generate(inputs, *behind, **batch, **settings)
    assert seen == {0, 1, 2}
    assert texts[:, inputs.shape[1] :].tolist() == [[10 + row // 2] * 3 for row in range(6)]


def test_beams_of_a_prompt_have_its_number():
    lm = hf_equi.symmetrize(base_model("gpt2"), GENDER, tokenizer=tokenizer())
    batch = tokenizer()(PROMPTS, return_tensors="pt", padding=True)
    allowed = {"prefix_allowed_tokens_fn": lambda number, sent: [10 + number]}
    texts = lm.generate(**batch, **allowed, num_beams=2, max_new_tokens=3)
    assert texts[:, -3:].tolist() == [[10 + number] * 3 for number in range(3)]
