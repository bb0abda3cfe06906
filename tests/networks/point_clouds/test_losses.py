"""Losses, which `test_modeling_point_clouds.py` compares with torch through the networks."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.networks.point_clouds.losses import class_loss, motion_loss


def test_labels_of_padded_points_do_not_count():
    logits, labels = torch.tensor([[[2.0, 0.0], [0.0, 5.0]]]), torch.tensor([[0, 0]])
    alone = class_loss(logits[:, :1], labels[:, :1])
    assert class_loss(logits, labels, torch.tensor([[True, False]])) == alone
    with pytest.raises(ConfigurationError, match="labels= are -100 alone"):
        class_loss(logits, labels, torch.tensor([[False, False]]))


def test_errors_of_motions_are_means_of_squares():
    assert motion_loss(torch.zeros(1, 1, 3), torch.tensor([[[3.0, 0.0, 0.0]]]), None, "labels").item() == 3.0
    with pytest.raises(ConfigurationError, match="speeds= are floating numbers"):
        motion_loss(torch.zeros(1, 1, 3), torch.zeros(1, 1, 3).long(), None, "speeds")
