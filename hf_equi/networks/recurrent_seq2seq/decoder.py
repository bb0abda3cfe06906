"""The decoder of RecurrentSeq2Seq."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from hf_equi.networks.recurrent_seq2seq.configuration_recurrent_seq2seq import RecurrentSeq2SeqConfig
from hf_equi.networks.recurrent_seq2seq.layers import ACTIVATIONS, LayerFactory, join, prepare, run_step

__all__ = ["DecoderWeights", "RecurrentDecoder"]


@dataclass(frozen=True)
class DecoderWeights:
    """The weights that all steps of a decoder share, assembled once.

    Args:
        cell: The weights of the cell.
        combine: Maps `(B, 2 * width)` to the input of the cell.
        head: Maps `(..., width)` to scores `(..., V)`.
    """

    cell: list[torch.Tensor]
    combine: Callable[[torch.Tensor], torch.Tensor]
    head: Callable[[torch.Tensor], torch.Tensor]


class RecurrentDecoder(nn.Module):
    r"""A recurrent cell that attends to the source before each of its steps.

    $$ a = \text{softmax}(s_{t-1} \cdot e_i), \quad
    s_t = \text{cell}(\sigma(W [y_{t-1}; \textstyle\sum_i a_i e_i]), s_{t-1}) $$

    Args:
        config: Sizes, cell, and the activation σ.
        layers: Makes the layers.

    References:
        Gordon et al. 2020; the attention is that of Luong et al. 2015 (dot product), on the state before the step.
    """

    _gradient_checkpointing_func: Any
    gradient_checkpointing = False
    """Whether backward passes recompute each step; transformers sets this, and the function that recomputes."""

    def __init__(self, config: RecurrentSeq2SeqConfig, layers: LayerFactory) -> None:
        super().__init__()
        width, vocab_size = config.decoder_size, int(config.decoder_vocab_size or config.vocab_size)
        self.cell, self.order = config.cell, layers.order
        self.activation = ACTIVATIONS[config.activation]
        self.embedding = layers.embedding("target", vocab_size, width)
        self.dropout = nn.Dropout(config.dropout)
        self.combine = layers.linear(2 * width, width)
        self.recurrent = layers.recurrent(config.cell, width, width)
        self.head = layers.head(width, vocab_size)

    def weights(self) -> DecoderWeights:
        """Return the weights for all steps of one call."""
        return DecoderWeights(self.recurrent(), prepare(self.combine), prepare(self.head))

    def step(
        self,
        tokens: torch.Tensor,
        states: Sequence[torch.Tensor],
        memory: torch.Tensor,
        bias: torch.Tensor | None,
        weights: DecoderWeights,
    ) -> tuple[torch.Tensor, ...]:
        """Read one token of each sentence.

        Args:
            tokens: `(B,)` int64.
            states: S states `(B, width)`.
            memory: `(B, length, width)` the encoder's output.
            bias: `(B, 1, length)`, 0, or the lowest number where the source is padded; or `None`.
            weights: `self.weights()`.

        Returns:
            The next S states; the first is the output.
        """
        read = self._read
        if self.gradient_checkpointing and self.training:
            # States and weights come in sequences, and the reentrant kind of checkpointing sees no gradients in those.
            read = partial(self._gradient_checkpointing_func, read, use_reentrant=False)
        return read(tokens, states, memory, bias, weights)

    def _read(
        self,
        tokens: torch.Tensor,
        states: Sequence[torch.Tensor],
        memory: torch.Tensor,
        bias: torch.Tensor | None,
        weights: DecoderWeights,
    ) -> tuple[torch.Tensor, ...]:
        scores = states[0].unsqueeze(1) @ memory.transpose(1, 2)  # (B, 1, length)
        attention = (scores if bias is None else scores + bias).softmax(-1)
        context = (attention @ memory).squeeze(1)
        embedded = self.dropout(self.embedding(tokens))
        inputs = self.activation(weights.combine(join([embedded, context], self.order)))
        return run_step(self.cell, inputs, states, weights.cell)
