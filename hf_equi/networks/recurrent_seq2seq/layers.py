"""The layers of an encoder-decoder, as functions of weights: for a plain network here, for a group elsewhere.

Features of a layer over a group of G elements lie as `(..., G * width)`, element by element. A plain network is the
case of one element. So encoder and decoder are written only once.

Letters: B sentences, T tokens, G group elements, S parts of a state (2 for LSTM: hidden and cell), H units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import nn

__all__ = [
    "ACTIVATIONS",
    "CELLS",
    "GATES",
    "LayerFactory",
    "PlainLayers",
    "RecurrentWeights",
    "SharingLayer",
    "join",
    "prepare",
    "run_packed",
    "run_step",
]

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}
CELLS = ("rnn", "gru", "lstm")
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
STATES = {"rnn": 1, "gru": 1, "lstm": 2}


class LayerFactory(Protocol):
    """Makes the layers of a network, each with `order` times the requested width."""

    order: int

    def embedding(self, side: str, vocab_size: int, width: int) -> nn.Module:
        """Map ids `(...)` to `(..., order * width)`; `side` is `"source"` or `"target"`."""

    def linear(self, inputs: int, outputs: int) -> nn.Module:
        """Map `(..., order * inputs)` to `(..., order * outputs)`."""

    def recurrent(self, cell: str, inputs: int, units: int) -> nn.Module:
        """Return a module without arguments that gives the four weights of a cell, in torch's order."""

    def head(self, width: int, vocab_size: int) -> nn.Module:
        """Map `(..., order * width)` to scores `(..., vocab_size)` over the target vocabulary."""


class PlainLayers:
    """Makes layers without a symmetry."""

    order = 1

    def embedding(self, side: str, vocab_size: int, width: int) -> nn.Embedding:
        """Make a layer with one vector for each word."""
        return nn.Embedding(vocab_size, width)

    def linear(self, inputs: int, outputs: int) -> nn.Linear:
        """An affine map."""
        return nn.Linear(inputs, outputs)

    def recurrent(self, cell: str, inputs: int, units: int) -> RecurrentWeights:
        """Make the weights of a cell."""
        return RecurrentWeights(cell, inputs, units)

    def head(self, width: int, vocab_size: int) -> nn.Linear:
        """An affine map."""
        return nn.Linear(width, vocab_size)


class RecurrentWeights(nn.Module):
    """The weights of one recurrent cell: those of `nn.LSTMCell`, for kernels that take weights as arguments.

    Args:
        cell: `"rnn"`, `"gru"` or `"lstm"`.
        inputs: The size of the input.
        units: The size of the hidden state.
    """

    def __init__(self, cell: str, inputs: int, units: int) -> None:
        super().__init__()
        rows = GATES[cell] * units
        self.weight_ih = nn.Parameter(torch.empty(rows, inputs))
        self.weight_hh = nn.Parameter(torch.empty(rows, units))
        self.bias_ih = nn.Parameter(torch.empty(rows))
        self.bias_hh = nn.Parameter(torch.empty(rows))
        self.init_bound = units**-0.5

    def forward(self) -> list[torch.Tensor]:
        """Return the four weights, in torch's order."""
        return [self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh]


class SharingLayer(nn.Module, ABC):
    """A layer whose weights are assembled from fewer ones; `prepare` does this once for many calls."""

    @abstractmethod
    def expand(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the layer as a function, with all its weights."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Apply it once."""
        return self.expand()(features)


def prepare(layer: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Prepare a layer for many calls with the same weights; only a `SharingLayer` changes, others keep their hooks."""
    return layer.expand() if isinstance(layer, SharingLayer) else layer


def join(parts: Sequence[torch.Tensor], order: int) -> torch.Tensor:
    """Join features over a group side by side, element by element: each `(..., order * width)`."""
    if order == 1:
        return torch.cat(list(parts), -1)
    split = [part.view(*part.shape[:-1], order, -1) for part in parts]
    return torch.cat(split, -1).flatten(-2)


def run_packed(
    cell: str, inputs: torch.Tensor, batch_sizes: torch.Tensor, weights: list[torch.Tensor], directions: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a cell over packed sequences, from the zero state.

    Args:
        cell: The name of the cell.
        inputs: `(tokens, I)` packed inputs of B sentences: the data of a `PackedSequence`. The activation
            checkpointing of torch 2.8 to 2.10 cannot take the whole `PackedSequence`.
        batch_sizes: The batch sizes of the `PackedSequence`.
        weights: Four weights for each direction.
        directions: 1 or 2.

    Returns:
        The packed outputs `(tokens, directions * H)` and the final states `(S, directions, B, H)`, in packed order.
    """
    sentences = int(batch_sizes[0])
    zero = inputs.new_zeros(directions, sentences, weights[1].shape[1])
    settings = (True, 1, 0.0, False, directions == 2)  # biases, layers, dropout, training, directions
    if cell == "lstm":
        data, *states = torch.lstm(inputs, batch_sizes, [zero, zero], weights, *settings)
        return data, torch.stack(states)
    run = torch.gru if cell == "gru" else torch.rnn_tanh
    data, state = run(inputs, batch_sizes, zero, weights, *settings)
    return data, state.unsqueeze(0)


def run_step(
    cell: str, inputs: torch.Tensor, states: Sequence[torch.Tensor], weights: list[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Run one step of a cell: inputs `(B, I)` and S states `(B, H)` to the next S states; the first is the output."""
    if cell == "lstm":
        return torch.lstm_cell(inputs, list(states), *weights)
    run = torch.gru_cell if cell == "gru" else torch.rnn_tanh_cell
    return (run(inputs, states[0], *weights),)
