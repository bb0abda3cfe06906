"""Run the rows of orbits through a base a chunk at a time, and keep of each chunk no more than training needs."""

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

__all__ = ["evenly", "images_at_once", "in_chunks", "is_sharded", "shares_rows"]

Part = TypeVar("Part")

_PIXELS_AT_ONCE, _WEIGHTS_A_PIXEL = 2**17, 110
"""What a CPU reads at once: so many pixels, or one for so many weights if these are more."""


def in_chunks(
    base: nn.Module, rows: int, size: int | None, run: Callable[[slice], Part]
) -> Iterator[tuple[slice, Part]]:
    """Run rows in chunks, in order.

    In training, autograd would keep the activations of all chunks until the backward pass. Where the base checkpoints
    its activations, those of a chunk are computed again in the backward pass instead, and go before the next chunk's
    come; the last chunk, whose backward pass is the first, keeps its own.

    Args:
        base: The base that `run` calls.
        rows: How many.
        size: Of a chunk; `None` for all at once.
        run: What to do with some rows.

    Yields:
        The rows of a chunk, and what `run` made of them.

    Cost: where activations are checkpointed, one forward more of all chunks but the last.

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


def evenly(rows: int, most: int) -> int:
    """The size of as few chunks as can be, of at most so many rows, that are about equal.

    Example:
        >>> evenly(4, 3)
        2
    """
    return math.ceil(rows / math.ceil(rows / most))


def images_at_once(base: nn.Module, pixels: int) -> int:
    r"""How many images a CPU reads at once when it evaluates: so many that each takes least time.

    $$ k \cdot \text{pixels} \le \max\Big(2^{17}, \frac{\text{weights}}{110}\Big) $$

    A call goes through all weights, whatever it reads. So a base of many weights wants many images: a ViT-B/32 is
    fastest with eight or more of 224 by 224, and gets fifteen. A base of few weights spends its time on feature maps,
    and wants small ones: Linux makes new pages for each that is larger than 32 MiB, and a MobileNetV2 takes two to
    three times as long for an image among 32 as among two to five. Between the two, a ResNet-50 and a ConvNeXt-T do
    not care. `benchmarks/vision_augmentation.py` holds the rule to other ways.

    The answer depends on the base and the size of images alone, and on no clock, so that a call gives the same bits
    again. Other sizes give the same numbers but for rounding.

    Args:
        base: What reads them.
        pixels: Of an image.

    Example:
        >>> images_at_once(nn.Linear(3, 1), 224 * 224), images_at_once(nn.Linear(3, 1), 32 * 32)
        (2, 128)
    """
    weights = sum(weight.numel() for weight in base.parameters())
    return max(max(_PIXELS_AT_ONCE, weights // _WEIGHTS_A_PIXEL) // pixels, 1)


def shares_rows(base: nn.Module, size: int | None) -> bool:
    """Whether equal members of an orbit may share a row.

    Not while a graph is exported, whose shapes are the same whatever it reads. Not where processes hold parts of the
    weights (FSDP) and rows come in chunks: each call of the base gathers the parts, so that all processes have to make
    as many calls, whatever they read. Else one would wait for ever.

    Args:
        base: The base.
        size: Of a chunk; `None` for all rows at once, which is one call everywhere.
    """
    return not torch.compiler.is_exporting() and (size is None or not is_sharded(base))


def is_sharded(base: nn.Module) -> bool:
    """Whether processes hold parts of the weights (FSDP), so that all have to call the base equally often."""
    return any(isinstance(module, _SHARDED) for module in base.modules())
