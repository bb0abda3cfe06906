from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Attention, Equitune, Equizero, LambdaEquitune


@pytest.mark.parametrize("kind", [Equitune, LambdaEquitune, Attention])
def test_averages_are_those_of_the_mean(kind):
    assert kind().combine.average == "logits"
    assert kind("probabilities").combine.average == "probabilities"


@pytest.mark.parametrize("make", [Equitune, LambdaEquitune, Attention, lambda average: Equizero(average=average)])
def test_unknown_averages_are_refused(make):
    with pytest.raises(ConfigurationError, match="average='median' is not known"):
        make("median")
