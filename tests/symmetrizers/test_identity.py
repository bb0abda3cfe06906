from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import Identity, Orbit

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])


def test_one_member_is_read_and_mapped_back():
    ids = torch.tensor([[5, 6, 7], [8, 4, 0]])
    method, scores = Identity(), torch.randn(2, 9, dtype=torch.float64).log_softmax(-1)
    elements = method.select(ACTION, ids).elements
    fold = method.combine.fold(Orbit.start(elements, shared=False), ACTION)
    fold.add(0, scores)
    torch.testing.assert_close(fold.result(), ACTION.pull_back(elements[:, 0], scores), rtol=0, atol=1e-12)
    assert bool((elements == 0).all())
