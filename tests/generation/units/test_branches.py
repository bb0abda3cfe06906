"""Texts that branch off from rows."""

from __future__ import annotations

import torch
from toy_units import pairs
from transformers import DynamicCache

from hf_equi.bases.compat import CACHE
from hf_equi.generation.units.branches import Branch, CachedRows, RereadRows

ROWS = [[1, 2, 3, 4, 5], [6, 5, 4, 3, 2], [7, 1, 0, 2, 2]]
BRANCHES = [Branch(0, 5, (6,)), Branch(2, 1, (3, 3, 1)), Branch(0, 2, (7, 0)), Branch(1, 3, (2,))]


def test_they_read_as_whole_texts_do_and_leave_the_rows_as_they_are():
    base, _ = pairs()
    batch = torch.arange(3)
    caches = []
    with torch.no_grad():
        for start, stop in ((0, 2), (2, 3)):
            cache = DynamicCache(config=base.config)
            base(torch.tensor(ROWS[start:stop]), use_cache=True, **{CACHE: cache})
            caches.append((start, stop, cache))
        places = [list(range(5))] * 3
        found = CachedRows(base, caches, places, {}, batch, 3).read(BRANCHES)
        again = RereadRows(base, ROWS, {}, batch, 3).read(BRANCHES)
        for number, branch in enumerate(BRANCHES):
            whole = torch.tensor([[*ROWS[branch.row][: branch.kept], *branch.tokens]])
            expected = base(whole).logits[0, -len(branch.tokens) :]
            for read in (found, again):
                torch.testing.assert_close(read[number, : len(branch.tokens)], expected, atol=1e-5, rtol=1e-5)
    assert [cache.get_seq_length() for *_, cache in caches] == [5, 5]
    assert [len(cache.layers[0].keys) for *_, cache in caches] == [2, 1]
