"""The decoder of `RecurrentSeq2Seq` with a backward pass by hand, for training on single sentences.

Autograd keeps a node for each small operation of each token, and writes the gradient of every weight once a token.
With one sentence a step, that is most of the time. Here the gradient of a weight is one product over all tokens.
Values and gradients are those of the library.

Letters: B sentences, S tokens of a command, T tokens of its actions, V words, H units of the decoder.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.nn import functional as F

from hf_equi import RecurrentSeq2Seq
from hf_equi.networks.recurrent_seq2seq.layers import ACTIVATIONS, run_step

SLOPES = {"relu": lambda values: (values > 0).to(values.dtype), "tanh": lambda values: 1 - values**2}
"""The derivative of each activation, from its value."""


def score(model: RecurrentSeq2Seq, commands: torch.Tensor, actions: torch.Tensor, forced: bool) -> torch.Tensor:
    """Return the scores `(B, T, V)` of the next action at each place.

    Args:
        model: An LSTM or RNN, plain or over a group.
        commands: `(B, S)`, without padding.
        actions: `(B, T)`, without padding.
        forced: Whether all sentences read the actions, or all read their own best tokens.
    """
    encoded, decoder = model.encoder(commands), model.decoder
    weights, order = decoder.weights(), decoder.order
    table = decoder.embedding(torch.arange(int(model.config.decoder_vocab_size or model.config.vocab_size)))
    combine, bias = _affine(weights.combine)
    if order > 1:  # features lie element by element, here embedding and context lie one after the other
        combine = combine.view(len(combine), order, 2, -1).transpose(1, 2).flatten(1)
    dropout = F.dropout(table.new_ones(*actions.shape, table.shape[1]), decoder.dropout.p, model.training)
    inputs = model.prepare_decoder_input_ids_from_labels(actions)
    settings = (decoder.cell, model.config.activation, inputs, forced)
    tensors = (encoded.last_hidden_state, encoded.encoder_state, dropout, table, combine, bias)
    scores: torch.Tensor = _Decode.apply(settings, *tensors, *weights.cell, *_affine(weights.head))
    return scores


def _affine(layer: Callable[[torch.Tensor], torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return weight and bias of an affine map of the library."""
    if isinstance(layer, partial):
        return layer.keywords["weight"], layer.keywords["bias"]
    return layer.weight, layer.bias


class _Decode(torch.autograd.Function):
    """Runs the decoder token by token, and back."""

    @staticmethod
    def forward(ctx: Any, settings: Any, *tensors: torch.Tensor) -> torch.Tensor:
        cell, activation, inputs, forced = settings
        memory, state, dropout, table, combine, bias, *weights = tensors
        *weights, head, head_bias = weights
        states, tokens = state.unbind(1), inputs[:, 0]
        trace: list[tuple[torch.Tensor, ...]] = []
        read = []
        for place in range(inputs.shape[1]):
            attention = (memory @ states[0].unsqueeze(2)).softmax(1)  # (B, S, 1)
            context = (attention.transpose(1, 2) @ memory).squeeze(1)
            joined = torch.cat([table[tokens] * dropout[:, place], context], 1)
            inner = ACTIVATIONS[activation](torch.addmm(bias, joined, combine.T))
            after = run_step(cell, inner, states, weights)
            trace.append((attention.squeeze(2), joined, inner, *states, *after))
            read.append(tokens)
            if place + 1 < inputs.shape[1]:
                own = None if forced else torch.addmm(head_bias, after[0], head.T).argmax(1)
                tokens = inputs[:, place + 1] if own is None else own
            states = after
        steps = tuple(torch.stack(parts, 1) for parts in zip(*trace, strict=True))
        ctx.settings = (cell, activation, len(states))
        ctx.save_for_backward(*tensors, torch.stack(read, 1), *steps)
        return F.linear(steps[3 + len(states)], head, head_bias)

    @staticmethod
    def backward(ctx: Any, *above: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cell, activation, count = ctx.settings
        memory, _, dropout, table, combine, _, *weights = ctx.saved_tensors[:12]
        head, (read, attention, joined, inner, *states) = weights[4], ctx.saved_tensors[12:]
        before, after = states[:count], states[count:]
        slopes = _lstm_slopes(inner, before, after, weights) if cell == "lstm" else (1 - after[0] ** 2,)
        both, slope = torch.cat(weights[:2], 1), SLOPES[activation](inner)
        size, heard = inner.shape[2], above[0] @ head
        behind = [torch.zeros_like(state[:, 0]) for state in before]
        trace: list[tuple[torch.Tensor, ...]] = []
        for place in reversed(range(inner.shape[1])):
            gates, *behind = _back(cell, heard[:, place] + behind[0], behind, [part[:, place] for part in slopes])
            flow = gates @ both
            inward = flow[:, :size] * slope[:, place]
            outward = inward @ combine
            seen = (memory @ outward[:, size:].unsqueeze(2)).squeeze(2)
            share = attention[:, place]
            focus = share * (seen - (share * seen).sum(1, keepdim=True))
            behind = [flow[:, size:] + (focus.unsqueeze(1) @ memory).squeeze(1), *behind]
            trace.append((gates, inward, outward, focus))
        gates, inward, outward, focus = (torch.stack(parts[::-1], 1) for parts in zip(*trace, strict=True))
        to_memory = attention.transpose(1, 2) @ outward[..., size:] + focus.transpose(1, 2) @ before[0]
        to_table = torch.zeros_like(table).index_add(0, read.flatten(), (outward[..., :size] * dropout).flatten(0, 1))
        return (
            None,
            to_memory,
            torch.stack(behind, 1),
            None,
            to_table,
            *_gradients(inward, joined),
            *(_product(gates, inner), _product(gates, before[0])),
            *[gates.flatten(0, 1).sum(0)] * 2,
            *_gradients(above[0], after[0]),
        )


def _lstm_slopes(
    inner: torch.Tensor, before: list[torch.Tensor], after: list[torch.Tensor], weights: list[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Return the factors of an LSTM's backward pass at all places: of its gates, its earlier and its new state."""
    gates = F.linear(inner, weights[0], weights[2]) + F.linear(before[0], weights[1], weights[3])
    enter, forget, new, leave = gates.chunk(4, -1)
    enter, forget, new, leave = enter.sigmoid(), forget.sigmoid(), new.tanh(), leave.sigmoid()
    shown = after[1].tanh()
    factors = (
        new * enter * (1 - enter),
        before[1] * forget * (1 - forget),
        enter * (1 - new**2),
        shown * leave * (1 - leave),
    )
    return torch.stack(factors, 2), forget, leave * (1 - shown**2)


def _back(
    cell: str, output: torch.Tensor, behind: list[torch.Tensor], slopes: list[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Return the gradient of the gates of one step, and of an LSTM's earlier cell state."""
    if cell != "lstm":
        return (output * slopes[0],)
    factors, forget, shown = slopes
    state = behind[1] + output * shown
    return (factors * torch.stack([state, state, state, output], 1)).flatten(1), state * forget


def _gradients(above: torch.Tensor, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of weight and bias of an affine map at all places."""
    return _product(above, inputs), above.flatten(0, 1).sum(0)


def _product(above: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    return above.flatten(0, 1).T @ inputs.flatten(0, 1)
