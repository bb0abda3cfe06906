"""Where texts are cut in which words of several tokens move."""

from __future__ import annotations

import itertools

import pytest
from token_actions import units_of

from hf_equi.fairness.whole_words import closed_units, members_of

PAIRS = [[(2, 3), (4,)], [(2, 5), (6, 1, 3)], [(2, 3, 5), (6, 6)]]
ACTION = units_of(9, PAIRS)


def goes_on(units: list[int]) -> bool:
    """Whether the last units are the beginning of a longer word, by trying all words."""
    ends = [tuple(ACTION.write(units[start:])) for start in range(len(units))]
    return any(len(form) > len(end) and form[: len(end)] == end for form in ACTION.forms for end in ends)


def test_a_text_is_closed_where_no_member_of_it_goes_on() -> None:
    checked = 0
    for text in itertools.product([0, *range(2, 7)], repeat=4):
        units = ACTION.read(text)
        if ACTION.reads_back(list(text)):
            open_after = [any(goes_on(ACTION.move(g, units[:n])) for g in range(2)) for n in range(len(units) + 1)]
            expected = max(n for n, is_open in enumerate(open_after) if not is_open)
            assert closed_units(ACTION, units) == expected
            checked += expected < len(units)
    assert checked > 100


@pytest.mark.parametrize(
    ("text", "prompt", "given", "scored"),
    [
        ([0, 8, 4, 8, 2, 3, 8], 2, [0, 8], [4, 8, 2, 3, 8]),
        ([0, 8, 2, 3, 8, 2], 3, [0, 8], [2, 3, 8]),  # the prompt and the text end in the beginning of a word
        ([0, 8, 2, 3], 3, [0, 8], [2, 3]),  # nothing is left but what goes on
        ([2, 3, 8], 1, [2, 3], [8]),  # something has to be given
    ],
)
def test_members_are_cut_between_words(text, prompt, given, scored) -> None:
    own, moved = members_of(ACTION, text, prompt)
    assert own == (given, scored)
    assert moved == (ACTION.member(1, given), ACTION.member(1, scored))
