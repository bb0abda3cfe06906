"""The method that runs the base on the canonical member."""

from __future__ import annotations

from hf_equi.canonicalization import LearnedCanonical, LearnedMember
from hf_equi.symmetrizers import Canonical, EqualWeights, Mean


def test_its_parts_are_the_selection_and_a_mean_of_one():
    method = LearnedCanonical(prior_weight=3.0, temperature=2.0)
    assert [type(part) for part in method.parts] == [LearnedMember, EqualWeights, Mean]
    assert (method.select.prior_weight, method.select.temperature) == (3.0, 2.0)
    assert method.selects_one
    assert method.needs_training
    assert not method.takes_best
    assert LearnedCanonical.name == Canonical.name
