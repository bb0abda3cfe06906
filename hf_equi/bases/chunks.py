"""Run the rows of orbits through a base in chunks, and keep only what training needs of each chunk."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

if torch.distributed.is_available():
    from torch.distributed.fsdp import FSDPModule, FullyShardedDataParallel

    _SHARDED: tuple[type, ...] = (FSDPModule, FullyShardedDataParallel)
else:
    _SHARDED = ()

__all__ = ["evaluates_on_cpu", "evenly", "images_at_once", "in_chunks", "in_pieces", "is_sharded", "shares_rows"]

Part = TypeVar("Part")

_PIXELS_AT_ONCE, _WEIGHTS_A_PIXEL = 2**17, 110
"""The size of a CPU batch: this many pixels, or one pixel for this many weights, if that is more."""


def in_chunks(
    base: nn.Module, rows: int, size: int | None, run: Callable[[slice], Part]
) -> Iterator[tuple[slice, Part]]:
    """Run rows in chunks, in order.

    In training, autograd would keep the activations of all chunks until the backward pass. If the base checkpoints its
    activations, those of a chunk are instead computed again in the backward pass, and freed before those of the next
    chunk. The last chunk keeps its activations, because its backward pass comes first.

    Args:
        base: The base that `run` calls.
        rows: The number of rows.
        size: The size of a chunk; `None` for all rows at once.
        run: Called with a range of rows.

    Yields:
        The rows of a chunk, and the result of `run`.

    Cost: if activations are checkpointed, one more forward of all chunks but the last.

    Example:
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> base = GPT2LMHeadModel(GPT2Config(vocab_size=9, n_embd=4, n_layer=1, n_head=1))
        >>> [part for _, part in in_chunks(base, 5, 2, lambda chunk: chunk.stop - chunk.start)]
        [2, 2, 1]
    """
    if torch.compiler.is_exporting():  # one graph for batches of any size
        yield slice(0, rows), run(slice(0, rows))
        return
    step = max(rows if size is None else size, 1)
    trains = step < rows and torch.is_grad_enabled() and base.training
    recomputes = trains and getattr(base, "is_activation_checkpointing", False)
    for start in range(0, rows, step):
        chunk = slice(start, min(start + step, rows))
        if recomputes and chunk.stop < rows:
            yield chunk, checkpoint(run, chunk, use_reentrant=False)
        else:
            yield chunk, run(chunk)


def evaluates_on_cpu(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether a CPU evaluates a network on some rows, so that it may read them in pieces, to save time.

    In training it may not: a batch norm reads all rows, and autograd keeps what pieces would free.

    Args:
        network: The network.
        x: The rows.
    """
    trains = torch.is_grad_enabled() or network.training
    return not (trains or x.device.type != "cpu" or torch.compiler.is_exporting())  # one graph for any batch


def evenly(rows: int, most: int) -> int:
    """Return the size of the fewest chunks of about equal size with at most `most` rows each.

    Example:
        >>> evenly(4, 3)
        2
    """
    return math.ceil(rows / math.ceil(rows / most))


def images_at_once(base: nn.Module, pixels: int) -> int:
    r"""Return how many images a CPU should read at once in evaluation, so that each takes the least time.

    $$ k \cdot \text{pixels} \le \max\Big(2^{17}, \frac{\text{weights}}{110}\Big) $$

    A call goes through all weights, whatever it reads. So a base with many weights is faster with many images: a
    ViT-B/32 is fastest with eight or more of 224 by 224, and gets fifteen. A base with few weights spends its time on
    feature maps and is faster with small ones: Linux makes new pages for each that is larger than 32 MiB, and a
    MobileNetV2 takes two to three times as long for an image among 32 as among two to five. For models in between,
    such as a ResNet-50 and a ConvNeXt-T, the number does not matter. `benchmarks/vision_augmentation.py` compares the
    rule with others.

    The answer depends only on the base and the size of images, not on a clock, so a repeated call gives the same bits.
    Other sizes give the same numbers, except for rounding.

    Args:
        base: The model that reads them.
        pixels: The number of pixels of an image.

    Example:
        >>> images_at_once(nn.Linear(3, 1), 224 * 224), images_at_once(nn.Linear(3, 1), 32 * 32)
        (2, 128)
    """
    weights = sum(weight.numel() for weight in base.parameters())
    return max(max(_PIXELS_AT_ONCE, weights // _WEIGHTS_A_PIXEL) // pixels, 1)


def in_pieces(read: Callable[[torch.Tensor], torch.Tensor], network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Read rows with a network, images on a CPU in evaluation as many at a time as `images_at_once` says.

    Args:
        read: Reads some rows.
        network: The network with which it does so.
        x: `(R, ...)` the rows; with four axes, images.

    Returns:
        What it read, for all rows.
    """
    if x.dim() != 4 or not evaluates_on_cpu(network, x):
        return read(x)
    most = images_at_once(network, math.prod(x.shape[-2:]))
    pieces = torch.split(x, evenly(len(x), most)) if len(x) > most else (x,)
    return torch.cat([read(piece) for piece in pieces])


def shares_rows(base: nn.Module, size: int | None) -> bool:
    """Whether equal members of an orbit may share a row.

    They may not while a graph is exported, because its shapes are the same whatever it reads. They may not if
    processes hold parts of the weights (FSDP) and rows come in chunks: each call of the base gathers the parts, so all
    processes must make equally many calls, whatever they read. Otherwise one would wait for ever.

    Args:
        base: The base.
        size: The size of a chunk; `None` for all rows at once, which is one call in every process.
    """
    return not torch.compiler.is_exporting() and (size is None or not is_sharded(base))


def is_sharded(base: nn.Module) -> bool:
    """Whether processes hold parts of the weights (FSDP), so that all must call the base equally often."""
    return any(isinstance(module, _SHARDED) for module in base.modules())
