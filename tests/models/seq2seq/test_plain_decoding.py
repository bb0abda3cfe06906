"""Plain greedy texts: what the plain loop writes is what `generate` of transformers writes."""

from __future__ import annotations

from functools import wraps

import pytest
import torch
from small_seq2seq import SIX, encode, fresh, wrap
from transformers import GenerationMixin

WAYS = {
    "synchronised": ("equitune", {}),
    "probabilities": ("equitune", {"average": "probabilities"}),
    "lambda": ("lambda", {}),
    "independent": ("equitune", {"decoding": "independent"}),
    "equizero": ("equizero", {}),
}


def tie_words(model):
    """Make all words of the group but one the best tokens of every step, so that the noise decides; one is an end."""
    words = model.action.target.moved

    def prefer(module, inputs, out):
        out.logits = torch.zeros_like(out.logits).index_fill(-1, words[1:], 1.0)

    model.base.register_forward_hook(prefer)
    return {"eos_token_id": int(words[0]), "max_new_tokens": 20}


@pytest.mark.filterwarnings("ignore:eos_token_id names a word")
@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["lstm", "t5", "bart"])
def test_the_plain_loop_writes_what_generate_writes(family, way, tied, monkeypatch):
    method, own = WAYS[way]
    model = wrap(fresh(family), SIX, method, **own)
    batch = encode(model) | {"max_new_tokens": 5, "seed": 3} | (tie_words(model) if tied else {})
    by_transformers = model.generate(**batch, logits_processor=[lambda ids, scores: scores])

    @wraps(GenerationMixin.generate)
    def refuse(self, *args, **kwargs):
        raise AssertionError("a plain call needs no more than a loop")

    monkeypatch.setattr(GenerationMixin, "generate", refuse)
    assert model.generate(**batch).tolist() == by_transformers.tolist()


def test_no_gradient_is_kept():
    """Of the encoder, which runs before the loop; transformers' own `generate` keeps none either."""
    model, seen = wrap(fresh("t5"), SIX, "equitune"), []
    model.base.get_encoder().register_forward_hook(lambda *call: seen.append(call[-1][0].requires_grad))
    model.generate(**encode(model), max_new_tokens=1)
    assert seen == [False]
