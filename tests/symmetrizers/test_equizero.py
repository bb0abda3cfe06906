"""Equizero as a method: what it says of itself. Its fold is tested in test_choice.py."""

from __future__ import annotations

import pytest
import torch
from token_actions import action_of

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import (
    Canonical,
    Entropy,
    Equitune,
    Equizero,
    Identity,
    LambdaEquitune,
    MaxProbability,
    Mixture,
    Orbit,
    OrbitChoice,
)

ACTION = action_of(4, [[1, 2]])
ORBIT = Orbit.start(torch.tensor([[0, 1]]), shared=False)


def test_it_alone_chooses():
    kinds = (Canonical, Equitune, Equizero, Identity, LambdaEquitune, Mixture)
    assert [kind for kind in kinds if kind.chooses] == [Equizero]


def test_it_runs_the_whole_group_and_has_no_relaxed_variant():
    method = Equizero()
    assert method.draw(ACTION, torch.zeros(3, 2), None, None).tolist() == [[0, 1]] * 3
    assert not any((method.relaxable, method.one_row, method.searches, method.weighs_members, method.takes_logits))


def test_its_fold_is_the_choice_by_its_loss():
    assert isinstance(Equizero().loss, MaxProbability)
    loss = Entropy()
    fold = Equizero(loss).fold(ORBIT, ACTION)
    assert isinstance(fold, OrbitChoice)
    assert fold.loss is loss
    assert not fold.takes_logits


def test_losses_may_disagree():
    """The surest best class, against the least spread over all classes."""
    rows = torch.tensor([[[0.5, 0.5, 0.0, 0.0]], [[0.55, 0.15, 0.15, 0.15]]]).log()
    chosen = []
    for loss in (MaxProbability(), Entropy()):
        fold = Equizero(loss).fold(ORBIT, ACTION)
        fold.add(0, rows)
        chosen += fold.decision().chosen_element.tolist()
    assert chosen == [1, 0]


def test_the_mean_that_is_learned_by_is_named():
    assert Equizero().average == "logits"
    assert Equizero(average="probabilities").fold(ORBIT, ACTION).mean.method.average == "probabilities"
    with pytest.raises(ConfigurationError, match="average='median' is not known"):
        Equizero(average="median")
