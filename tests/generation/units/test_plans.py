"""What is fed to rows."""

from __future__ import annotations

import torch
from literal_units import toy_base
from small_models import calls_of
from token_actions import units_of
from toy_units import VOCAB, law
from transformers import DynamicCache


def test_only_what_rows_do_not_hold_is_fed():
    """Members share a row until they differ; a form that is complete replaces the tokens that stood for it."""
    base, action = toy_base(VOCAB), units_of(VOCAB, [[(2, 3), (4,)]])
    cache = DynamicCache(config=base.config)
    settings = {"use_cache": True, "logits_to_keep": 1}
    held = []
    for tokens in ([1, 5], [2], [3], [1]):
        with calls_of(base) as calls:
            out = law(base, action, "logits", 1, torch.tensor([tokens]), cache=cache, **settings)
        held.append((calls, [list(row) for row in out.cache.texts.rows.tokens]))
    assert held == [
        ([(1, 2)], [[1, 5]]),
        ([(1, 1)], [[1, 5, 2]]),
        ([(2, 1)], [[1, 5, 4], [1, 5, 2, 3]]),
        ([(2, 1)], [[1, 5, 4, 1], [1, 5, 2, 3, 1]]),
    ]
    assert out.cache.texts.rows.visible.tolist() == [[True, True, False, True, True], [True] * 5]
