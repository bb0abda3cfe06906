from __future__ import annotations

import pytest

from hf_equi import EquiSamConfig
from hf_equi.errors import ConfigurationError


def test_a_weight_of_a_loss_that_is_not_computed_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"task_weight=2\.0: a model that .* computes no loss"):
        EquiSamConfig(task_weight=2.0)
    assert EquiSamConfig(method="canonical", task_weight=0.0).task_weight == 0
