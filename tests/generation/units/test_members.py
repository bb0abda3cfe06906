"""Where members of texts stand in their rows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from token_actions import literal_member, unit_actions

from hf_equi.generation.units.members import GrowingText, Member
from hf_equi.generation.units.readings import Reading, UnitTables


@st.composite
def growing(draw):
    action = draw(unit_actions())
    tokens = st.integers(0, action.vocab_size - 1)
    return action, draw(st.lists(tokens, max_size=5)), draw(st.lists(tokens, min_size=1, max_size=4))


@given(growing())
def test_a_row_is_changed_into_the_member_and_holds_all_its_beginnings(drawn):
    action, old, new = drawn
    before = Reading.of(UnitTables.of(action), old)
    asked = [len(old) + number + 1 for number in range(len(new))]
    text = GrowingText.grown(before, new, asked, held=True)
    for g in range(action.group.order):
        member = Member(text, g, before.member(g))
        kept, rest = member.change
        whole = [*member.held[:kept], *rest]
        assert whole == (old + new if text.reading.stays else literal_member(action, g, old + new))
        assert not rest or kept == len(member.held) or member.held[kept : kept + 1] != rest[:1]
        assert member.length == len(whole)
        for number in asked:
            start, after = member.origin(number)
            beginning = (old + new)[:number]
            expected = beginning if text.reading.stays else literal_member(action, g, beginning)
            assert [*whole[:start], *after] == expected


@given(growing())
def test_the_law_is_needed_since_something_has_been_open(drawn):
    action, old, new = drawn
    tables = UnitTables.of(action)
    text = GrowingText.grown(Reading.of(tables, old), new, [len(old) + len(new)], held=True)
    for known in (False, True):
        wanted = text.wanted(known)
        assert wanted == list(range(wanted[0], text.last + 1))
        least = len(old) + 1 if known else 1
        assert wanted[0] == least or not tables.may_go_on(text.reading.tokens[: wanted[0]])
