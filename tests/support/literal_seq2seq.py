"""The recurrent encoder-decoder as its equations read: one sentence, one token after the other, cells of torch.nn."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


class Cell:
    """A cell of torch.nn with the weights of a `RecurrentWeights`, and its states as a tuple."""

    def __init__(self, name: str, weights: list[torch.Tensor]) -> None:
        self.name, self.units = name, weights[1].shape[1]
        self.cell = CELLS[name](weights[0].shape[1], self.units).to(weights[0].dtype)
        for parameter, weight in zip(self.cell.parameters(), weights, strict=True):
            parameter.data = weight.detach()

    def zero(self) -> tuple[torch.Tensor, ...]:
        return (next(self.cell.parameters()).new_zeros(self.units),) * (2 if self.name == "lstm" else 1)

    def step(self, inputs: torch.Tensor, states: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        if self.name == "lstm":
            return self.cell(inputs, states)
        return (self.cell(inputs, states[0]),)


@torch.no_grad()
def encode(model: Any, source: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """One sentence `(length,)`: its memory `(length, width)` and the states that the decoder starts with."""
    embedded = model.encoder.embedding.weight[source]
    outputs, finals = [], []
    for index, direction in enumerate(model.encoder.directions):
        cell = Cell(model.config.cell, direction())
        states, rows = cell.zero(), [torch.empty(0)] * len(source)
        for place in range(len(source)) if index == 0 else reversed(range(len(source))):
            states = cell.step(embedded[place], states)
            rows[place] = states[0]
        outputs.append(torch.stack(rows))
        finals.append(states)
    return torch.cat(outputs, -1), tuple(torch.cat(parts) for parts in zip(*finals, strict=True))


@torch.no_grad()
def read(
    model: Any, memory: torch.Tensor, states: tuple[torch.Tensor, ...], token: int
) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """One token: the scores of the next `(V,)`, and the states after it."""
    decoder = model.decoder
    weights = [torch.dot(states[0], row).exp() for row in memory]
    context = sum(weight / sum(weights) * row for weight, row in zip(weights, memory, strict=True))
    joined = torch.cat([decoder.embedding.weight[token], context])
    activation = {"relu": F.relu, "tanh": torch.tanh}[model.config.activation]
    inputs = activation(decoder.combine.weight @ joined + decoder.combine.bias)
    states = Cell(model.config.cell, decoder.recurrent()).step(inputs, states)
    return decoder.head.weight @ states[0] + decoder.head.bias, states


def score(model: Any, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """The scores after each token of a target, `(T, V)`."""
    memory, states = encode(model, source)
    rows = []
    for token in target.tolist():
        row, states = read(model, memory, states, token)
        rows.append(row)
    return torch.stack(rows)


def greedy(model: Any, source: torch.Tensor, steps: int) -> list[int]:
    """The best tokens, up to the end token."""
    memory, states = encode(model, source)
    tokens = [model.config.decoder_start_token_id]
    for _ in range(steps):
        row, states = read(model, memory, states, tokens[-1])
        tokens.append(int(row.argmax()))
        if tokens[-1] == model.config.eos_token_id:
            break
    return tokens
