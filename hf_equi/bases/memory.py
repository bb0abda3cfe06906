"""Estimates of memory, and advice about orbits that do not fit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.errors import UnsupportedModelError

__all__ = ["advice_on_memory", "decoding_bytes", "free_bytes"]

_SIZES = ("num_hidden_layers", "hidden_size", "num_attention_heads")
_SCORES = 6  # simultaneous copies of the scores of a row: logits, log-probabilities, noise, sorted for top-p


def decoding_bytes(model: PreTrainedModel, tokens: int) -> int:
    """Estimate how much memory a row of a decoded batch takes: its cache of keys and values, and its scores.

    Args:
        model: The model that decodes.
        tokens: The final length of the row.
    """
    config = model.config.get_text_config(decoder=True)
    layers, width, heads = (getattr(config, name, 0) or 0 for name in _SIZES)
    shared = getattr(config, "num_key_value_heads", heads) or heads
    head = getattr(config, "head_dim", None) or width // max(heads, 1)
    cached = 2 * layers * shared * head * tokens * model.dtype.itemsize
    return int(cached + _SCORES * config.vocab_size * torch.float32.itemsize)


def free_bytes(device: torch.device | str) -> int | None:
    """Return how much memory is free on a device, or `None` if this is not known.

    Args:
        device: The CPU, or a GPU.
    """
    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return None
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return min([*found, *_limits()]) if found else None  # some emulations of Linux do not report it


def _limits() -> Iterator[int]:
    """Yield the free memory within the limits of a container."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # no such file, or "max"
            yield int(Path("/sys/fs/cgroup", name).read_text(encoding="ascii"))


class advice_on_memory(AbstractContextManager[None]):  # noqa: N801  as contextlib names its own
    """Say how to make a forward smaller if it does not fit into memory.

    Args:
        what: The samples in words.
        members: The number of orbits B, and of the members K of each that are run.
        chunk: How many members of each orbit go through the base at once; `None` for all.
        device: The device with the memory.

    Raises:
        UnsupportedModelError: Instead of the error of torch.

    Example:
        >>> with advice_on_memory("texts", (3, 2), None, "cpu"):
        ...     raise torch.OutOfMemoryError
        Traceback (most recent call last):
            ...
        hf_equi.errors.UnsupportedModelError: The orbits of 3 texts make up to 6 rows; ...
    """

    # A class, because the generator of `contextmanager` takes as long as a layer of a small network.
    def __init__(self, what: str, members: tuple[int, int], chunk: int | None, device: torch.device | str) -> None:
        self.what, self.members, self.chunk, self.device = what, members, chunk, device

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any, /) -> None:
        # CUDA raises its own class; on the CPU only the message says so.
        full = isinstance(error, torch.OutOfMemoryError) or (
            isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
        )
        if not full:
            return
        orbits, members = self.members
        raise UnsupportedModelError(
            f"The orbits of {orbits} {self.what} make up to {orbits * members} rows; {self.chunk or members} members "
            f"of each at once are too many for the memory of {self.device}. Set orbit_chunk_size (symmetrize(..., "
            "orbit_chunk_size=1) runs one member of each at a time, in as many calls), or pass a smaller batch."
        ) from error
