from __future__ import annotations

import torch

from hf_equi.models.sam.methods import create


def test_equizero_takes_the_largest_predicted_overlap() -> None:
    loss = create("equizero").loss
    assert loss.of_logits
    assert loss.of_steps(torch.tensor([[0.2, 0.9], [0.5, 0.6]])).argmin() == 0
