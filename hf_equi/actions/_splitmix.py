"""SplitMix64 on tensors: 64-bit numbers that depend only on a key and a place in its stream.

torch has no unsigned 64-bit arithmetic, but int64 arithmetic wraps to the same bits.
"""

from __future__ import annotations

import torch

__all__ = ["shift_right", "splitmix"]

# The increment, and shifts with their multipliers, of Steele, Lea and Flood 2014, as signed numbers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))


def splitmix(keys: torch.Tensor | int, counters: torch.Tensor) -> torch.Tensor:
    """Return number `counters` of the stream that starts at `keys`: int64 of the arguments' common shape."""
    state = keys + (counters + 1) * _INCREMENT
    for shift, multiplier in _MULTIPLIERS:
        state = (state ^ shift_right(state, shift)) * multiplier
    return state ^ shift_right(state, 31)


def shift_right(numbers: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift as unsigned, filling with zeros, because torch's own shift of int64 repeats the sign."""
    return (numbers >> bits) & ((1 << (64 - bits)) - 1)
