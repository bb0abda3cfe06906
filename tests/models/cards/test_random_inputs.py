from __future__ import annotations

import torch

from hf_equi.models.cards.random_inputs import random_ids, seeded


def test_ids_are_the_same_every_time_and_none_that_is_taken():
    ids = random_ids(50, 50, 4, taken=[0, 2, 9])
    assert not (ids % 2 == 0).any()
    assert torch.equal(ids, random_ids(50, 50, 4, taken=[0, 2, 9]))
    assert torch.equal(torch.rand(3, generator=seeded()), torch.rand(3, generator=seeded()))
