"""The methods of sequence-to-sequence models, by name."""

from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.seq2seq.methods import TASK, create
from hf_equi.symmetrizers import Canonical, Equitune, Equizero, Identity, LambdaEquitune

KINDS = {
    "equitune": Equitune,
    "equizero": Equizero,
    "lambda": LambdaEquitune,
    "canonical": Canonical,
    "identity": Identity,
}


@pytest.mark.parametrize("name", KINDS)
def test_methods_by_name(name):
    method = create(name, "logits", "entropy")
    assert type(method) is KINDS[name]
    assert method.name == name
    assert TASK == "seq2seq"


def test_settings_reach_the_method():
    assert create("equitune", "probabilities", "entropy").combine.average == "probabilities"
    assert create("lambda", "probabilities", "entropy").combine.average == "probabilities"
    assert create("equizero", "logits", "entropy").loss.name == "entropy"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("equizero", "median", "entropy"), "average='median' is not known"),
        (("equitune", "logits", "margin"), "loss='margin' is not known: use one of"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        create(*arguments)
