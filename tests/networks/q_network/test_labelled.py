from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, smooth_l1_loss

from hf_equi.errors import ConfigurationError
from hf_equi.networks.q_network.labelled import labelled_loss

VALUES = torch.tensor([[1.0, 5.0], [0.0, 2.0]])


def test_actions_without_a_target_do_not_count():
    labels = torch.tensor([[torch.nan, 4.5], [3.0, torch.nan]])
    expected = smooth_l1_loss(torch.tensor([5.0, 0.0]), torch.tensor([4.5, 3.0]))
    assert torch.equal(labelled_loss("q_values", VALUES, labels), expected)
    values = VALUES.clone().requires_grad_()
    labelled_loss("q_values", values, labels).backward()
    assert (values.grad != 0).tolist() == [[False, True], [True, False]]


def test_of_logits_it_is_the_cross_entropy():
    actions = torch.tensor([1, 0])
    assert torch.equal(labelled_loss("logits", VALUES, actions), cross_entropy(VALUES, actions))


@pytest.mark.parametrize(
    ("outputs", "labels", "message"),
    [
        ("q_values", torch.zeros(2), r"targets, floating numbers of the shape \(2, 2\), .* shape \(2,\)"),
        ("q_values", torch.zeros(2, 2).long(), "received torch.int64"),
        ("q_values", torch.full((2, 2), torch.nan), "labels= holds NaN alone"),
        ("logits", torch.zeros(2), "actions, 2 whole numbers; received torch.float32"),
        ("q_values", [[1.0, 2.0]], "labels= is a list: pass a tensor"),
        ("logits", torch.zeros(2, 2).long(), r"of the shape \(2, 2\)"),
        ("logits", torch.tensor([True, False]), "received torch.bool"),
        ("logits", torch.tensor([0, 2]), "are actions, from 0 to 1; received others"),
        ("logits", torch.tensor([-100, -100]), "are actions, from 0 to 1; received others"),
    ],
)
def test_other_labels_are_refused(outputs, labels, message):
    with pytest.raises(ConfigurationError, match=message):
        labelled_loss(outputs, VALUES, labels)
