from __future__ import annotations

import pytest

from hf_equi import EquiSamConfig
from hf_equi.errors import ConfigurationError


@pytest.mark.parametrize("entry", [{"level": "logits"}, {"lambda_features": "frozen"}, {"task_weight": 2.0}])
def test_entries_that_have_one_value_are_refused_by_name(entry: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=f"{next(iter(entry))}: a model that segments by prompts"):
        EquiSamConfig(**entry)
