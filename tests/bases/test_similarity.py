"""Scaled cosines of images and texts. The values of each family are in tests/models/vision/test_clip_cuts.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hf_equi.bases.similarity import similarity
from hf_equi.errors import ConfigurationError


def test_a_model_without_a_known_scale_is_refused():
    with pytest.raises(ConfigurationError, match="A Flatten has neither a logit_scale nor a temperature"):
        similarity(nn.Flatten(), torch.ones(2, 3), torch.ones(4, 3))
