"""Gram–Schmidt of an input's own vectors, and of vectors that are made of it."""

from __future__ import annotations

import pytest
import torch
from small_clouds import draw
from torch import nn

from hf_equi.actions import VectorAction
from hf_equi.canonicalization import GramSchmidt, read_canonicalizer
from hf_equi.canonicalization.base import is_complete
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O3, SO2, SO3
from hf_equi.testing import assert_canonicalizer


class Sums(nn.Module):
    """Weighted sums of the vectors, which turn with them."""

    def __init__(self, count, vectors):
        super().__init__()
        self.weight = nn.Parameter(draw(count, vectors))

    def forward(self, x, mask=None):
        return self.weight @ x


def test_the_first_vectors_decide():
    x = draw(3, 4, 3)
    elements = GramSchmidt(SO3()).poses(x)[0][:, 0]
    torch.testing.assert_close(elements[..., 0], x[:, 0] / x[:, 0].norm(dim=-1, keepdim=True))
    torch.testing.assert_close(elements[..., 2] @ torch.ones(3, dtype=x.dtype), elements[..., 2].sum(-1))
    assert (elements[..., 2] * x[:, 1]).sum(-1).abs().max() < 1e-12  # the second lies in the plane of the first two
    other = x.clone()
    other[:, 2:] = 0
    assert torch.equal(GramSchmidt(SO3()).poses(other)[0][:, 0], elements)


@pytest.mark.parametrize("group", [SO2(), O3()], ids=repr)
def test_a_network_of_vectors_is_trained_but_its_code_is_not_stored(group):
    made, x = GramSchmidt(group, Sums(3, 5)), draw(2, 5, group.dimension)
    assert_canonicalizer(made, x, VectorAction(group))
    assert made.learns
    assert not GramSchmidt(group).learns
    made.poses(x)[0].sum().backward()
    assert made.vectors.weight.grad.abs().max() > 0
    assert not is_complete(made.to_dict())
    with pytest.raises(ConfigurationError, match="What makes the vectors of this GramSchmidt is not stored"):
        read_canonicalizer(made.to_dict(), group)


def test_what_makes_no_vectors_is_refused():
    with pytest.raises(ConfigurationError, match="vectors=3 cannot be called"):
        GramSchmidt(SO2(), 3)
    for returned, said in ((torch.zeros(2, 1, 3), r"\(2, 1, 3\)"), (torch.zeros(2, 2, 2), r"\(2, 2, 2\)"), (0, "int")):
        made = GramSchmidt(SO3(), lambda x, returned=returned: returned)
        with pytest.raises(ConfigurationError, match=rf"vectors= returned {said}; .* \(2, P, 3\) with P at least 2"):
            made.poses(torch.zeros(2, 4, 3))
