"""Readings that grow, beside texts that are read from their first token on."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from token_actions import literal_member, literal_read, unit_actions

from hf_equi.generation.units.readings import Reading, UnitTables, rests, shortest


@st.composite
def texts(draw):
    action = draw(unit_actions())
    return action, draw(st.lists(st.integers(0, action.vocab_size - 1), max_size=7))


def literal_rests(action, text):
    """What would complete a form that goes on from the beginning of a word of the text."""
    words, start, found = literal_read(action, text), 0, set()
    for word in words:
        tail = tuple(text[start:])
        found |= {form[len(tail) :] for form in action.forms if form[: len(tail)] == tail != form}
        start += len(word)
    return {rest for rest in found if not any(rest[:size] in found for size in range(1, len(rest)))}


@given(texts())
def test_a_text_that_grows_is_read_as_the_whole_text(drawn):
    action, text = drawn
    tables = UnitTables.of(action)
    reading, loud = Reading(tables, [], []).along(text)
    stepwise = Reading(tables, [], [])
    for number, token in enumerate(text):
        stepwise = stepwise.then(token)
        assert (number in loud) == (not stepwise.quiet)
        assert stepwise == loud.get(number, stepwise)
        assert stepwise == Reading.of(tables, text[: number + 1])
        assert stepwise.stays == (not action.reads_back(text[: number + 1]))
    assert reading == stepwise
    assert reading.units == action.read(text)
    assert not (reading.plain or reading.stays) or all(len(reading.member(g)) == len(text) for g in range(2))


@given(texts())
def test_what_is_open_is_what_a_form_would_need(drawn):
    action, text = drawn
    reading = Reading.of(UnitTables.of(action), text)
    open_in = [reading.open_nodes(g) for g in range(action.group.order)]
    assert reading.quiet == (not any(open_in))
    for g, nodes in enumerate(open_in):
        member = text if reading.stays else literal_member(action, g, text)
        assert reading.member(g) == member
        assert set(rests(nodes)) == literal_rests(action, member)


def test_the_shortest_of_some_strings():
    assert shortest([(1, 2), (3,), (1, 2, 4), (3, 1), (3,)]) == [(3,), (1, 2)]
