"""Runs of the search on tiny models, with losses that need no classifier."""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32

import torch
from small_models import GENDER, base_model, tokenizer
from transformers import LogitsProcessor

from hf_equi import TokenAction
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.generation import EquizeroSearch

PROMPTS = ["the man worked as a", "an asian person", "person", "the white woman was known for a black man and"]
END = {0: 4.0}  # makes the end of a text likely, so that drafts of one round end at different places
OFTEN = {0: 2.0}  # enough for the model that ends texts most easily
# Without single bytes, of which the random model would make broken characters.
BYTES = {token: -1e4 for token, text in enumerate(map(tokenizer().decode, range(len(tokenizer())))) if len(text) == 1}
WORDS_BIAS = {**BYTES, **END, **{tokenizer()(word)["input_ids"][0]: 3.0 for word in (" man", " woman", " she", " he")}}


def reduced(image, x, g, group):
    """g without its components that fix x."""
    shifts = group.coordinates[g]
    return next(
        h
        for h, other in enumerate(group.coordinates)
        if image(h, x) == image(g, x) and all(o in (0, s) for o, s in zip(other, shifts, strict=True))
    )


def hashed(texts):
    """A loss without ties that says nothing: any difference in a text changes it."""
    return torch.tensor([crc32(text.encode()) / 2**32 for text in texts])


def constant(texts):
    return torch.zeros(len(texts))


class Bias(LogitsProcessor):
    """Adds to the scores of some tokens."""

    def __init__(self, bias):
        self.bias = bias

    def __call__(self, input_ids, scores):
        out = scores.clone()
        for token, value in self.bias.items():
            out[:, token] += value
        return out


@lru_cache
def action_of(group):
    return TokenAction(group, resolve_tokens(group, tokenizer(), len(tokenizer())))


def run(prompts, group=GENDER, family="gpt2", scorer=hashed, m=3, action="tokens", bias=None, **settings):
    """The search on a base model; an `EquizeroOutput`."""
    encoded = tokenizer()(list(prompts), return_tensors="pt", padding=True)
    settings = {"do_sample": True, "top_k": 0, "max_new_tokens": 8, "seed": 1, **settings}
    base = base_model(family) if isinstance(family, str) else family
    return base.generate(
        **encoded,
        custom_generate=EquizeroSearch(group, tokenizer(), scorer, m, action),
        logits_processor=[Bias(bias or {})],
        return_dict_in_generate=True,
        **settings,
    )


def continuations(prompts, *args, **kwargs):
    """What follows the prompts, to the end of each text."""
    width = tokenizer()(list(prompts), return_tensors="pt", padding=True)["input_ids"].shape[1]
    return [to_end(row.tolist()) for row in run(prompts, *args, **kwargs).sequences[:, width:]]


def to_end(tokens):
    return tokens[: tokens.index(0) + 1] if 0 in tokens else tokens
