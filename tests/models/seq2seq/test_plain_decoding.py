"""Plain greedy texts: what the plain loop writes is what `generate` of transformers writes."""

from __future__ import annotations

from functools import wraps

import pytest
from small_seq2seq import SIX, encode, fresh, wrap
from transformers import GenerationMixin

WAYS = {
    "synchronised": ("equitune", {}),
    "probabilities": ("equitune", {"average": "probabilities"}),
    "lambda": ("lambda", {}),
    "independent": ("equitune", {"decoding": "independent"}),
    "equizero": ("equizero", {}),
}


@pytest.mark.parametrize("tied", [False, True], ids=["", "tied"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["lstm", "t5", "bart"])
def test_the_plain_loop_writes_what_generate_writes(family, way, tied, monkeypatch):
    method, own = WAYS[way]
    model = wrap(fresh(family), SIX, method, **own)
    if tied:  # all tokens are best at every step, and the noise alone decides
        model.base.get_output_embeddings().weight.data.zero_()
    batch = encode(model) | {"max_new_tokens": 5, "seed": 3}
    by_transformers = model.generate(**batch, logits_processor=[lambda ids, scores: scores])

    @wraps(GenerationMixin.generate)
    def refuse(self, *args, **kwargs):
        raise AssertionError("a plain call needs no more than a loop")

    monkeypatch.setattr(GenerationMixin, "generate", refuse)
    assert model.generate(**batch).tolist() == by_transformers.tolist()
