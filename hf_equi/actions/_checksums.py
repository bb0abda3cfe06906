r"""Checksums of tensors: the sum over all places of the bits there times a weight of the place, modulo $2^{64}$.

Integer sums are exact in any order, so a checksum does not depend on the batch, the device or the number of threads.
"""

from __future__ import annotations

import torch

from hf_equi.actions._splitmix import splitmix

__all__ = ["bits_of", "checksums", "position_weights"]

# Samples are taken together up to this many values, which fit into the cache of a core.
_CHUNK = 2**18


def position_weights(shape: torch.Size, device: torch.device) -> torch.Tensor:
    """Return an odd int64 for each place of a shape, the same in every process."""
    return (splitmix(0, torch.arange(shape.numel(), device=device)) | 1).view(shape)


def checksums(x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the checksums of samples `(R, ...)` for each of some weights `(K, ...)`, `(R, K)` int64."""
    weights = weights.flatten(1)
    rows = max(1, _CHUNK // max(1, weights.shape[1]))
    sums = torch.empty(len(x), len(weights), dtype=torch.long, device=x.device)
    for start in range(0, len(x), rows):
        bits = bits_of(x[start : start + rows]).flatten(1)
        for k, weight in enumerate(weights):
            sums[start : start + rows, k] = (bits * weight).sum(1)
    return sums


def bits_of(x: torch.Tensor) -> torch.Tensor:
    """Return the bits of each value as an int64: equal for equal values, including -0.0 and 0.0, and for no others.

    High bits are folded onto low ones, because the low bits of a product with a weight depend only on low bits, which
    are zero in round numbers.
    """
    x = x.detach()
    if not x.is_floating_point():
        return x.long()
    if x.dtype == torch.float64:
        bits = (x + 0.0).view(torch.int64)
        return bits ^ (bits >> 32)
    bits = (x.float() + 0.0).view(torch.int32)
    return (bits ^ (bits >> 23)).long()
