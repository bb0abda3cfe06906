r"""Checksums of tensors: sums of the bits at each place, times a weight of the place, modulo $2^{64}$.

Integer sums are exact in any order, so a checksum does not depend on the batch, the device or the number of threads.
"""

from __future__ import annotations

import torch

__all__ = ["bits_of", "checksums", "position_weights"]

# Samples are taken together up to this many values: what is in the cache of a core at once.
_CHUNK = 2**18
# The increment and the multipliers of SplitMix64 (Steele, Lea and Flood 2014), as signed integers.
_INCREMENT = 0x9E3779B97F4A7C15 - 2**64
_MULTIPLIERS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64))


def position_weights(shape: torch.Size, device: torch.device) -> torch.Tensor:
    """An odd int64 for each place of a shape, the same in every process."""
    state = torch.arange(1, shape.numel() + 1, device=device) * _INCREMENT
    for shift, multiplier in _MULTIPLIERS:
        state = (state ^ _shifted(state, shift)) * multiplier
    return ((state ^ _shifted(state, 31)) | 1).view(shape)


def checksums(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Checksums of samples `(R, ...)` for each of some weights `(K, ...)`, `(R, K)` int64."""
    weights = weights.flatten(1)
    rows = max(1, _CHUNK // max(1, weights.shape[1]))
    sums = torch.empty(len(x), len(weights), dtype=torch.long, device=x.device)
    for start in range(0, len(x), rows):
        bits = bits_of(x[start : start + rows]).flatten(1)
        for k, weight in enumerate(weights):
            sums[start : start + rows, k] = (bits * weight).sum(1)
    return sums


def bits_of(x: torch.Tensor) -> torch.Tensor:
    """The bits of each value as an int64: equal for equal values, -0.0 and 0.0 among them, and for no others.

    High bits are folded onto low ones. Round numbers have zeros for low bits, and the low bits of a product with a
    weight depend on nothing else.
    """
    x = x.detach()
    if not x.is_floating_point():
        return x.long()
    if x.dtype == torch.float64:
        bits = (x + 0.0).view(torch.int64)
        return bits ^ (bits >> 32)
    bits = (x.float() + 0.0).view(torch.int32)
    return (bits ^ (bits >> 23)).long()


def _shifted(state: torch.Tensor, shift: int) -> torch.Tensor:
    """The shift to the right that fills with zeros; that of a signed integer copies its sign."""
    return torch.bitwise_and(state >> shift, 2 ** (64 - shift) - 1)
