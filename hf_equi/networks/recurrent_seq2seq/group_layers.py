r"""Layers that are equivariant to a finite group by construction.

A feature is a function on the group: one vector for each element, side by side. The group acts on features from the
left, as it acts on words, and each layer commutes with that action:

$$ (hf)(g) = f(h^{-1} g), \qquad \text{layer}(hf) = h \, \text{layer}(f) $$

Letters: G group elements, V words, H units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

from hf_equi.groups import FiniteGroup
from hf_equi.networks.recurrent_seq2seq.layers import GATES, SharingLayer

__all__ = ["GroupEmbedding", "GroupHead", "GroupLayers", "GroupLinear", "GroupRecurrentWeights"]


class GroupLayers:
    """Makes the layers of a network over a group.

    Args:
        group: The group.
        source: `(G, V)` int64, the action on the source vocabulary: `source[g, v]` is g(v).
        target: `(G, V)` int64, the action on the target vocabulary.

    Raises:
        GroupError: If one of the two is not a left action of the group.

    References:
        Gordon et al. 2020, "Permutation equivariant models for compositional generalization in language", §4.

    Example:
        >>> pair = FiniteGroup.cyclic(2)
        >>> layers = GroupLayers(pair, source=pair.permutations, target=pair.permutations)
        >>> first, second = layers.embedding("source", 2, width=3)(torch.tensor([0, 1]))
        >>> torch.equal(first[:3], second[3:])
        True
    """

    def __init__(self, group: FiniteGroup, source: torch.Tensor, target: torch.Tensor) -> None:
        self.order = group.order
        actions = {"source": source, "target": target}
        checked = {side: FiniteGroup(group.product, permutations=rows).permutations for side, rows in actions.items()}
        self._quotients = group.product[group.inverses]  # (G, G): g⁻¹h
        self._preimages = {side: rows[group.inverses].T.contiguous() for side, rows in checked.items()}  # (V, G): g⁻¹v

    def embedding(self, side: str, vocab_size: int, width: int) -> GroupEmbedding:
        """Make a layer with one vector for each word and element."""
        return GroupEmbedding(self._preimages[side], width)

    def linear(self, inputs: int, outputs: int) -> GroupLinear:
        """A group convolution."""
        return GroupLinear(self._quotients, inputs, outputs)

    def recurrent(self, cell: str, inputs: int, units: int) -> GroupRecurrentWeights:
        """Make the weights of a cell whose maps are group convolutions."""
        return GroupRecurrentWeights(self._quotients, cell, inputs, units)

    def head(self, width: int, vocab_size: int) -> GroupHead:
        """Make a convolution to words."""
        return GroupHead(self._preimages["target"], width)


class GroupEmbedding(nn.Embedding):
    r"""Words to features: $\phi(g) = \psi(g^{-1} w)$, with one table $\psi$.

    Args:
        preimages: `(V, G)`, at `[v, g]` the word g⁻¹v.
        width: The size of a vector.
    """

    def __init__(self, preimages: torch.Tensor, width: int) -> None:
        super().__init__(len(preimages), width)
        self._preimages = _Table(preimages)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map ids `(...)` to `(..., G * width)`."""
        return super().forward(self._preimages.on(input.device)[input]).flatten(-2)


class GroupLinear(SharingLayer):
    r"""Group convolution: $\phi(g) = \sum_h \psi(g^{-1} h) f(h) + b$.

    Args:
        quotients: `(G, G)`, at `[g, h]` the element g⁻¹h.
        inputs: The size of f at an element.
        outputs: The size of φ at an element.
    """

    def __init__(self, quotients: torch.Tensor, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(len(quotients), outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs))
        self.init_bound = (len(quotients) * inputs) ** -0.5
        self._quotients = _Table(quotients)

    def expand(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the affine map, `(..., G * inputs)` to `(..., G * outputs)`."""
        quotients = self._quotients.on(self.weight.device)
        weight = _convolution(self.weight.unsqueeze(1), quotients)
        return partial(F.linear, weight=weight, bias=self.bias.repeat(len(quotients)))


class GroupRecurrentWeights(nn.Module):
    """The weights of one recurrent cell whose maps are group convolutions, expanded to those of a plain cell.

    Args:
        quotients: `(G, G)`, at `[g, h]` the element g⁻¹h.
        cell: `"rnn"`, `"gru"` or `"lstm"`.
        inputs: The size of the input at an element.
        units: The size of the hidden state at an element.
    """

    def __init__(self, quotients: torch.Tensor, cell: str, inputs: int, units: int) -> None:
        super().__init__()
        order, gates = len(quotients), GATES[cell]
        self.weight_ih = nn.Parameter(torch.empty(order, gates, units, inputs))
        self.weight_hh = nn.Parameter(torch.empty(order, gates, units, units))
        self.bias_ih = nn.Parameter(torch.empty(gates, units))
        self.bias_hh = nn.Parameter(torch.empty(gates, units))
        self.init_bound = (order * units) ** -0.5
        self._quotients = _Table(quotients)

    def forward(self) -> list[torch.Tensor]:
        """Return the four weights of a cell of G * H units, in torch's order of gates."""
        quotients = self._quotients.on(self.weight_ih.device)
        biases = [bias.repeat(1, len(quotients)).flatten() for bias in (self.bias_ih, self.bias_hh)]
        return [_convolution(self.weight_ih, quotients), _convolution(self.weight_hh, quotients), *biases]


class GroupHead(SharingLayer):
    r"""Features to scores of words: $\phi(v) = \sum_g \psi(g^{-1} v) \cdot f(g) + b(v)$.

    The bias has one number for each orbit of words, $b(gv) = b(v)$. The published code has one for each word, which is
    not equivariant.

    Args:
        preimages: `(V, G)`, at `[v, g]` the word g⁻¹v.
        width: The size of f at an element.
    """

    def __init__(self, preimages: torch.Tensor, width: int) -> None:
        super().__init__()
        words, order = preimages.shape
        orbits = torch.unique(preimages.min(1).values, return_inverse=True)[1]
        self.weight = nn.Parameter(torch.empty(words, width))
        self.bias = nn.Parameter(torch.empty(int(orbits.max()) + 1))
        self.init_bound = (order * width) ** -0.5
        self._preimages, self._orbits = _Table(preimages), _Table(orbits)

    def expand(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the affine map, `(..., G * width)` to `(..., V)`."""
        preimages, orbits = self._preimages.on(self.weight.device), self._orbits.on(self.weight.device)
        weight = self.weight.index_select(0, preimages.flatten()).view(len(preimages), -1)
        return partial(F.linear, weight=weight, bias=self.bias.index_select(0, orbits))


class _Table:
    """Indices on every device that asks for them. They are not a buffer: loading does not fill buffers."""

    def __init__(self, indices: torch.Tensor) -> None:
        self._copies = {indices.device: indices}

    def on(self, device: torch.device) -> torch.Tensor:
        if device not in self._copies:
            self._copies[device] = next(iter(self._copies.values())).to(device)
        return self._copies[device]


def _convolution(weight: torch.Tensor, quotients: torch.Tensor) -> torch.Tensor:
    """Turn kernels `(G, gates, out, in)` into the one matrix `(gates * G * out, G * in)` of the map."""
    order, gates, outputs, inputs = weight.shape
    kernels = weight.index_select(0, quotients.flatten()).view(order, order, gates, outputs, inputs)
    return kernels.permute(2, 0, 3, 1, 4).reshape(gates * order * outputs, order * inputs)
