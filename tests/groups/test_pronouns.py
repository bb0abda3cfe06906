"""What a group does to "her"."""

from __future__ import annotations

import pytest

from hf_equi import DemographicGroup
from hf_equi.groups.pronouns import pronoun_limit

RACE = DemographicGroup([["Black", "White"]])


@pytest.mark.parametrize(
    ("sets", "begins"),
    [
        ([["he", "she"], ["his", "her"]], '"his" and "her" change places, and "him" stays'),
        ([["he", "she"], ["her", "him"]], '"him" and "her" change places, and "his" stays'),
        ([["His", "Her", "Their"]], '"his" and "her" change places, and "him" stays'),
        ([["he", "she"], ["man", "woman"]], '"he" and "she" change places, and "his", "him" and "her" stay'),
    ],
)
def test_the_choice_is_said_whichever_it_is(sets, begins):
    for group in (DemographicGroup(sets), DemographicGroup(sets) * RACE):
        assert pronoun_limit(group.forms()).startswith(begins)


def test_a_pair_that_does_not_move_is_not_spoken_of():
    group = DemographicGroup([["he", "she"], ["his", "her"]])
    assert pronoun_limit(group.forms(), [("his", "her")]).startswith('"he" and "she" change places, and "his", "him"')
    assert pronoun_limit(group.forms(), [("his", "her"), ("he", "she")]) is None


@pytest.mark.parametrize("sets", [[["man", "woman"]], [["her", "their"]], [["he", "they"]]])
def test_other_groups_have_none(sets):
    assert pronoun_limit(DemographicGroup(sets).forms()) is None
