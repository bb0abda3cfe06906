from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.clip.methods import create
from hf_equi.symmetrizers import (
    Attention,
    ClassMaximum,
    Equitune,
    Equizero,
    Identity,
    LambdaEquitune,
    MaxSimilarity,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("equitune", Equitune),
        ("equizero", Equizero),
        ("lambda", LambdaEquitune),
        ("attention", Attention),
        ("identity", Identity),
    ],
)
def test_methods_by_name(name, kind):
    method = create(name, "logits", "image")
    assert type(method) is kind
    if name == "equizero":
        assert type(method.loss) is MaxSimilarity


def test_by_class():
    assert type(create("equizero", "probabilities", "class")) is ClassMaximum
    for name, average in (("equizero", "logits"), ("equitune", "probabilities"), ("lambda", "logits")):
        with pytest.raises(ConfigurationError, match='method="equizero" and level="probabilities"'):
            create(name, average, "class")


def test_selections_that_are_not_known_are_listed():
    with pytest.raises(ConfigurationError, match="selection='text' is not known: use one of 'image', 'class'"):
        create("equizero", "logits", "text")
