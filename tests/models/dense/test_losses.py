"""That they are those of the bases is tested where the model is."""

from __future__ import annotations

import pytest
import torch
from transformers import SegformerConfig, UperNetConfig

from hf_equi.errors import ActionError
from hf_equi.models.dense.losses import class_loss, depth_loss, heat_map_loss, ignored_class, size_error


def test_ignored_pixels_are_those_that_the_config_names():
    logits, labels = torch.randn(1, 3, 4, 4), torch.zeros(1, 4, 4).long()
    labels[0, 0] = 7
    for config in (SegformerConfig(semantic_loss_ignore_index=7), UperNetConfig(loss_ignore_index=7)):
        assert ignored_class(config) == 7
        expected = -logits.log_softmax(1)[0, 0, 1:].mean()
        torch.testing.assert_close(class_loss(logits, labels, config), expected)


def test_sizes_have_to_agree():
    with pytest.raises(ActionError, match=r"shape \(1, 4, 4\); received \(1, 2, 2\). Resize them"):
        depth_loss(torch.ones(1, 4, 4), torch.ones(1, 2, 2))
    with pytest.raises(ActionError, match=r"shape \(1, 2, 4, 4\); received \(1, 2, 2, 2\)"):
        heat_map_loss(torch.ones(1, 2, 4, 4), torch.ones(1, 2, 2, 2), None)
    assert "(1, 2, 3)" in str(size_error(torch.ones(1), (1, 2, 3)))
