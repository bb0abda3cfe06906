from __future__ import annotations

import pytest

from hf_equi.canonicalization import LearnedCanonical, LearnedCanonicalLambda
from hf_equi.errors import ConfigurationError
from hf_equi.models.dense.methods import create
from hf_equi.symmetrizers import Equitune, Equizero, Identity, LambdaEquitune, OneDraw


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("equitune", Equitune),
        ("equizero", Equizero),
        ("lambda", LambdaEquitune),
        ("mixture", OneDraw),
        ("canonical", LearnedCanonical),
        ("canonical_lambda", LearnedCanonicalLambda),
        ("identity", Identity),
    ],
)
def test_methods_by_name(name, kind):
    assert type(create(name, "logits", "entropy", theta=[0])) is kind


def test_what_cannot_be_chosen_has_no_surest_member():
    assert create("equizero", "probabilities", "entropy").loss.name == "entropy"
    with pytest.raises(ConfigurationError, match='no member is the surest: use "equitune", "lambda" or "canonical"'):
        create("equizero", "logits", None)
    with pytest.raises(ConfigurationError, match="method='attention' is not known to dense prediction"):
        create("attention", "logits", "entropy")
