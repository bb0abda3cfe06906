"""What `hf_equi.fairness` offers, loaded at once or on first use."""

from __future__ import annotations

import pytest

from hf_equi import fairness


@pytest.mark.parametrize(
    "name", [*fairness.__all__, "auditing", "likelihood", "metrics", "prompts", "report", "summary"]
)
def test_names_resolve_and_are_listed(name: str) -> None:
    assert getattr(fairness, name) is not None
    assert name in dir(fairness)


def test_the_metrics_need_no_import_of_their_own() -> None:
    assert fairness.metrics.ParityGap().name == "parity_gap"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'audits'; it has .*audit"):
        _ = fairness.audits
