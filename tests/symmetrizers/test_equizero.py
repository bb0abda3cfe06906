"""Equizero as a method: what it says of itself. Its fold is tested in test_choice.py."""

from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import Entropy, Equizero, MaxProbability, Orbit, OrbitChoice

ACTION = action_of(4, [[1, 2]])
ORBIT = Orbit.start(torch.tensor([[0, 1]]), shared=False)


def test_its_fold_is_the_choice_by_its_loss():
    assert isinstance(Equizero().loss, MaxProbability)
    loss = Entropy()
    fold = Equizero(loss).combine.fold(ORBIT, ACTION)
    assert isinstance(fold, OrbitChoice)
    assert fold.loss is loss
    assert not fold.takes_logits


def test_losses_may_disagree():
    """The surest best class, against the least spread over all classes."""
    rows = torch.tensor([[[0.5, 0.5, 0.0, 0.0]], [[0.55, 0.15, 0.15, 0.15]]]).log()
    chosen = []
    for loss in (MaxProbability(), Entropy()):
        fold = Equizero(loss).combine.fold(ORBIT, ACTION)
        fold.add(0, rows)
        chosen += fold.decision().chosen_element.tolist()
    assert chosen == [1, 0]


def test_the_mean_that_is_learned_by_is_named():
    assert Equizero().combine.mean.average == "logits"
    assert Equizero(average="probabilities").combine.fold(ORBIT, ACTION).mean.accumulator.average == "probabilities"
