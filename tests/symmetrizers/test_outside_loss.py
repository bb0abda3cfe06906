"""A loss outside of a model is refused where it would be another one."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers.outside_loss import check_outside_loss, refuse_outside_loss

LABELS = torch.zeros(1, 2)


@pytest.mark.parametrize(
    ("labels", "items", "reasons"),
    [(LABELS, 2, {"so": True}), (None, None, {"so": True}), (None, 2, {"so": False}), (None, 2, {})],
    ids=["with labels", "not counted", "no reason holds", "no reasons"],
)
def test_what_is_let_through(labels, items, reasons):
    check_outside_loss(labels, items, reasons)


@pytest.mark.parametrize("items", [3, torch.tensor(3)])
def test_the_first_reason_that_holds_is_named(items):
    with pytest.raises(ConfigurationError, match=r"label_smoothing_factor= .* because two\. Leave those"):
        check_outside_loss(None, items, {"one": False, "two": True, "three": True})


def test_refused_while_a_model_is_traced():
    """Torch would drop an error that it meets while tracing, and run untraced what raises no more."""

    def forward(x):
        check_outside_loss(None, x, {"compiled": torch.compiler.is_compiling()})
        return x + 1

    torch.compiler.reset()
    assert forward(LABELS).sum() == 2
    with pytest.raises(ConfigurationError, match="because compiled"):
        torch.compile(forward, backend="eager")(LABELS)


def test_always():
    with pytest.raises(ConfigurationError, match="because it is so"):
        refuse_outside_loss("it is so")
