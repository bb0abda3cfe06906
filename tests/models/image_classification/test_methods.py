from __future__ import annotations

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.models.image_classification.methods import LOSSES, create
from hf_equi.symmetrizers import Attention, Equitune, Equizero, Identity, LambdaEquitune


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
    assert type(create(name, "logits", "entropy")) is kind
    if name in ("equitune", "lambda", "attention"):
        assert create(name, "probabilities", "entropy").combine.average == "probabilities"


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_by_name(loss):
    assert create("equizero", "logits", loss).loss.name == loss


def test_losses_that_are_not_known_are_listed():
    with pytest.raises(ConfigurationError, match="'max_probability', 'entropy', 'published_least_confident'"):
        create("equizero", "logits", "max_similarity")
