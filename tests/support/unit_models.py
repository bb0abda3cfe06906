"""Tiny models of a toy vocabulary in which words of several tokens move, and texts of them."""

from __future__ import annotations

from functools import cache

import torch
from token_actions import units_of
from transformers import LlamaConfig, LlamaForCausalLM

from hf_equi.actions import UnitAction
from hf_equi.models.causal_lm import EquiLM, EquiLMConfig

VOCAB = 12
PAD = 11
# One word begins another, words share beginnings, and rows have words of one, two and three tokens.
PAIRS = units_of(VOCAB, [[(2, 3), (4,)], [(2, 5), (6, 1, 3)], [(2, 3, 5), (6, 6)], [(7,), (0,)]])
TRIPLES = units_of(VOCAB, [[(2, 3), (4,), (5,)], [(2, 8), (6, 1, 3), (6, 6)], [(7,), (0,), (10,)]])
PROMPTS = [[2, 3, 9], [9, 4, 9], [2, 8, 7, 9], [6, 6, 9], [9, 1, 9], [7, 6, 1, 3, 4, 9]]
"""Prompts after which nothing is open."""


@cache
def toy_base(seed: int = 1) -> LlamaForCausalLM:
    """A random model of one layer."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCAB, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        initializer_range=0.5, bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )  # fmt: skip
    base = LlamaForCausalLM(config).eval()
    base.generation_config.pad_token_id = PAD
    return base


@cache
def toy_lm(action: UnitAction, look_ahead: float = 0.0, seed: int = 1, **settings: object) -> EquiLM:
    """An EquiLM around such a model."""
    base = toy_base(seed)
    config = EquiLMConfig(
        base_config=base.config,
        group=action.group.to_dict(),
        method="equitune",
        token_map=action.token_map.to_dict(),
        multi_token="compose",
        look_ahead=look_ahead,
        **settings,
    )
    lm = EquiLM(config, base)
    lm.generation_config.pad_token_id = PAD
    return lm


def padded(texts: list[list[int]]) -> dict[str, torch.Tensor]:
    """Texts of different lengths as one batch, padded on the left."""
    width = max(map(len, texts))
    rows = [[PAD] * (width - len(text)) + text for text in texts]
    mask = [[0] * (width - len(text)) + [1] * len(text) for text in texts]
    return {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(mask)}


def new_units(action: UnitAction, prompt: list[int], text: list[int]) -> list[int]:
    """The units that follow a prompt, without the last ones, which may be cut off."""
    whole = action.read([*prompt, *text])
    cut = max(map(len, action.forms)) - 1
    return whole[len(action.read(prompt)) :][:-cut]
