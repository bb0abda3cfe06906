from __future__ import annotations

import pytest

from hf_equi.canonicalization import LearnedCanonical, LearnedCanonicalLambda
from hf_equi.errors import ConfigurationError
from hf_equi.models.unread_settings import refuse_unread, unread_settings
from hf_equi.symmetrizers import Equitune, Equizero


def test_settings_belong_to_the_parts_that_read_them():
    assert "loss" in unread_settings(Equitune())
    assert "loss" not in unread_settings(Equizero())
    assert unread_settings(LearnedCanonical()) & {"theta", "prior_weight"} == {"theta"}
    assert unread_settings(LearnedCanonicalLambda()) == {"confidence", "loss", "selection"}
    refuse_unread({"orbit_chunk_size"}, Equitune(), "equitune")
    with pytest.raises(ConfigurationError, match=r"^loss, theta: the method 'equitune' does not use these settings"):
        refuse_unread({"theta", "loss"}, Equitune(), "equitune")
