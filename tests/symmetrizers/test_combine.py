from __future__ import annotations

import math

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Drafts, Mean
from hf_equi.symmetrizers.combine import AVERAGES

MEMBERS = torch.randn(4, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log_softmax(-1)


def literal(average: str, weights: torch.Tensor) -> torch.Tensor:
    shares = weights.view(-1, 1, 1)
    return (shares * MEMBERS).sum(0) if average == "logits" else (shares * MEMBERS.exp()).sum(0).log()


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("shares", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4]])
def test_members_add_up_to_the_weighted_mean(average, shares):
    method, weights = Mean(average), torch.tensor(shares, dtype=torch.float64)
    by_number, by_tensor, filled = None, None, torch.full_like(MEMBERS[0], method.empty)
    for member, share in zip(MEMBERS, shares, strict=True):
        by_number = method.accumulate(by_number, member, math.log(share))
        by_tensor = method.accumulate(by_tensor, member, torch.full((2, 1), share).double().log())
        filled = method.accumulate(filled, member, math.log(share))
    for total in (by_number, by_tensor, filled):
        assert torch.allclose(total, literal(average, weights), rtol=0, atol=1e-7)


@pytest.mark.parametrize("average", AVERAGES)
def test_members_are_not_changed_in_place(average):
    before = MEMBERS.clone() if isinstance(MEMBERS, torch.Tensor) else [member.clone() for member in MEMBERS]
    total = Mean(average).accumulate(None, MEMBERS[0], 0.0)
    Mean(average).accumulate(total, MEMBERS[1], 0.0)
    assert all(torch.equal(member, kept) for member, kept in zip(MEMBERS, before, strict=True))


def test_mean_of_logits_is_the_mean_of_log_probabilities():
    logits = 3 * torch.randn(4, 5, dtype=torch.float64)
    total = None
    for row in logits.log_softmax(-1):
        total = Mean("logits").accumulate(total, row, -math.log(4))
    assert torch.allclose(total.log_softmax(-1), logits.mean(0).log_softmax(-1))


def test_drafts_are_scored_by_the_mean():
    first, second = MEMBERS[:2]
    for kind in (Mean, Drafts):
        total = kind().accumulate(kind().accumulate(None, first, -math.log(2)), second, -math.log(2))
        assert torch.allclose(total, (first + second) / 2)
    assert Mean().average == "logits"


def test_a_member_alone_is_that_member():
    assert torch.equal(Mean().accumulate(None, MEMBERS[0], 0.0), MEMBERS[0])


@pytest.mark.parametrize("average", ["mean", "", None])
def test_unknown_average_raises(average):
    with pytest.raises(
        ConfigurationError, match=f"average={average!r} is not known: use one of 'logits', 'probabilities'"
    ):
        Mean(average)
