from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import Draws, Identity

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])


def test_every_member_of_an_orbit_runs_as_it_is():
    for member in ACTION.orbit(torch.tensor([[5, 6, 7], [8, 4, 0]])).unbind(1):
        assert Identity().draw(ACTION, member, None, Draws()).tolist() == [[0], [0]]
        assert Identity().score_elements(ACTION, member, None).tolist() == [[0], [0]]


def test_it_runs_one_row_and_has_no_relaxed_variant():
    assert Identity.one_row
    assert not Identity.relaxable
    scores = torch.tensor([0.25, 0.75]).log()
    assert torch.equal(Identity().accumulate(None, scores, 0.0), scores)
