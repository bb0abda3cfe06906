"""Symmetrised language models for tests, over the bases of `small_models`."""

from __future__ import annotations

from typing import Any

import torch
from small_models import BOTH, base_model, tokenizer
from transformers import PreTrainedModel

import hf_equi
from hf_equi import DemographicGroup

PROMPT = "the black man met"


def wrap(
    base: PreTrainedModel | str = "gpt2",
    group: DemographicGroup = BOTH,
    method: str = "equitune",
    **settings: Any,
) -> Any:
    """A symmetrised language model, of a base or a family."""
    model = base_model(base) if isinstance(base, str) else base
    return hf_equi.symmetrize(model, group, method, tokenizer=tokenizer(), **settings)


def scores(model: PreTrainedModel) -> torch.Tensor:
    """What a model says of a prompt whose words both parts of the group move, `(1, tokens, V)`."""
    with torch.no_grad():
        logits: torch.Tensor = model(**tokenizer()(PROMPT, return_tensors="pt")).logits
    return logits
