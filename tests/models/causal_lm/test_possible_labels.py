"""Labels of probability 0."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import GroupWarning
from hf_equi.models.causal_lm.possible_labels import IGNORED, possible_labels

NEVER = -torch.inf
SCORES = torch.tensor([[[0.0, NEVER], [NEVER, 0.0], [NEVER, NEVER]], [[NEVER, 0.0], [0.0, 0.0], [0.0, 0.0]]])


def test_labels_of_probability_0_are_left_out_and_counted() -> None:
    labels = torch.tensor([[1, 1, 0], [0, IGNORED, 1]])
    with pytest.warns(GroupWarning, match="2 of 3 labels have probability 0"):
        found = possible_labels(labels, SCORES)
    assert found.tolist() == [[1, IGNORED, IGNORED], [0, IGNORED, 1]]
    assert possible_labels(labels, SCORES, warns=False).equal(found)


def test_other_labels_stay_as_they_are() -> None:
    labels = torch.tensor([[1, 0, 1], [0, 1, IGNORED]])
    assert possible_labels(labels, SCORES) is labels
