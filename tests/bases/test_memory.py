"""What fits into memory, and what is said of orbits that do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_models import base_model

from hf_equi.bases.compat import cache_of
from hf_equi.bases.memory import advice_on_memory, decoding_bytes, free_bytes
from hf_equi.errors import UnsupportedModelError

FULL = (
    torch.OutOfMemoryError("CUDA out of memory"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
)


@pytest.mark.parametrize(("chunk", "at_once"), [(None, 5), (2, 2)])
@pytest.mark.parametrize("error", FULL)
def test_the_way_out_is_named(error, chunk, at_once):
    message = (
        rf"The orbits of 3 texts make up to 15 rows; {at_once} members of each at once .* of cuda:0\. "
        r"Set orbit_chunk_size"
    )
    with (
        pytest.raises(UnsupportedModelError, match=message) as raised,
        advice_on_memory("texts", (3, 5), chunk, torch.device("cuda:0")),
    ):
        raise error
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), ValueError("can't allocate memory")])
def test_other_errors_are_left_as_they_are(error):
    with pytest.raises(type(error), match=str(error)), advice_on_memory("texts", (3, 5), None, "cpu"):
        raise error


def test_a_real_allocation_that_fails():
    with (
        pytest.raises(UnsupportedModelError, match="make up to 2 rows"),
        advice_on_memory("texts", (1, 2), None, "cpu"),
    ):
        torch.empty(2**60, dtype=torch.uint8)


def test_a_row_takes_its_cache_and_its_scores():
    """As much as the cache of that length holds, and no less for heads that share keys and values."""
    model = base_model("llama")
    ids = torch.ones(1, 12, dtype=torch.long)
    layers = cache_of(model(ids, use_cache=True)).layers
    cached = sum(part.numel() * part.element_size() for layer in layers for part in (layer.keys, layer.values))
    scores = 6 * model.config.vocab_size * 4
    assert decoding_bytes(model, 12) == cached + scores
    assert decoding_bytes(model, 24) == 2 * cached + scores


def test_free_memory_is_that_of_the_device():
    free = free_bytes("cpu")
    assert free is None or free > 2**20


def test_nobody_says_where_linux_does_not(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "MemTotal: 8 kB\nMemFree: 4 kB\n")
    assert free_bytes("cpu") is None
