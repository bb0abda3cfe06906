"""Which words move in a vocabulary, and which stay."""

from __future__ import annotations

import pytest
from token_writers import bytes_tokenizer, words_tokenizer

from hf_equi import DemographicGroup
from hf_equi.actions.coverage import Unmoved
from hf_equi.actions.resolution import cover_tokens
from hf_equi.actions.spellings import AFTER_BRACKET, AFTER_SPACE, START

RACE = DemographicGroup([["Black", "White", "Asian"], ["Blacks", "Whites", "Asians"]], names=["b", "w", "a"])
CAPITALS = "Black White Asian ĠBlack ĠWhite ĠAsian"


def covered(group, tokens):
    return cover_tokens(group, bytes_tokenizer(tokens))


def words(forms):
    return ["/".join(form.words) for form in forms]


def test_a_form_moves_where_its_tokens_do():
    coverage = covered(DemographicGroup([["he", "she"]]), "Ġhe Ġshe He She")
    written, capitalised, upper = coverage.group.forms()
    assert [coverage.moves(written, context) for context in (START, AFTER_SPACE, AFTER_BRACKET)] == [
        False,
        True,
        False,
    ]
    assert [coverage.moves(capitalised, context) for context in (START, AFTER_SPACE)] == [True, False]
    assert not coverage.moves(upper, START)


def test_pieces_that_move_alike_will_do():
    group = DemographicGroup([["man", "woman"], ["african man", "african woman"]])
    coverage = covered(group, "man woman Ġman Ġwoman african Ġafrican")
    assert coverage.lost == ()
    assert coverage.moves(group.forms()[3], START)


def test_a_set_is_lost_unless_it_moves_as_written():
    names = DemographicGroup([["John", "Mary"], ["he", "she"]])
    coverage = covered(names, "john mary Ġjohn Ġmary Ġhe Ġshe John Mary")
    assert coverage.lost == (("John", "Mary"),)  # though it moves in lower case, and at the start of a text


@pytest.mark.parametrize(
    ("tokens", "written", "lower", "start"),
    [
        ("", ["Black/White/Asian", "Blacks/Whites/Asians"], [], []),
        (CAPITALS, ["Blacks/Whites/Asians"], ["black/white/asian"], []),
        ("ĠBlack ĠWhite ĠAsian", ["Blacks/Whites/Asians"], ["black/white/asian"], ["Black/White/Asian"]),
        (f"{CAPITALS} Ġblack Ġwhite Ġasian", ["Blacks/Whites/Asians"], [], []),
    ],
)
def test_what_users_write_and_nothing_moves(tokens, written, lower, start):
    stays = Unmoved.on([covered(RACE, tokens)])
    assert (words(stays.written), words(stays.lower), words(stays.start)) == (written, lower, start)


def test_other_spellings_are_nothing_that_users_write():
    """Codes in capitals have no lower case, and a word in lower case does not begin a text."""
    stays = Unmoved.on([covered(DemographicGroup([["JUMPS", "RUNS"], ["he", "she"]]), "ĠJUMPS ĠRUNS Ġhe Ġshe")])
    assert stays == Unmoved((), (), stays.start)
    assert words(stays.start) == ["JUMPS/RUNS"]


def test_one_side_that_moves_a_word_is_enough():
    group = DemographicGroup([["Black", "White"]])
    upper, lower = covered(group, "Black White ĠBlack ĠWhite"), covered(group, "Ġblack Ġwhite")
    assert words(Unmoved.on([upper]).lower) == ["black/white"]
    assert words(Unmoved.on([lower]).written) == ["Black/White"]
    for sides in ([upper, lower], [lower, upper]):
        assert Unmoved.on(sides) == Unmoved((), (), ())


def test_the_most_elements_that_move_are_found():
    coverage = covered(RACE, f"{CAPITALS} Ġblack Ġwhite ĠBlacks ĠWhites ĠAsians")
    assert coverage.best_elements([("black", "white", "asian")]) == [("b", "w")]
    assert coverage.best_elements([("Black", "White", "Asian")]) == [None]  # all of them move
    assert coverage.best_elements([("blacks", "whites", "asians")]) == [None]  # one is not a group
    assert coverage.best_elements([]) == [None]
    four = DemographicGroup([["a", "b", "c", "d"], ["e", "f", "g", "h"]]) * DemographicGroup([["i", "j"]])
    sets = [("a", "b", "c", "d"), ("e", "f", "g", "h")]
    assert covered(four, "Ġa Ġb Ġc Ġf Ġg Ġh").best_elements(sets) == [("b", "c"), None]
    assert covered(four, "Ġa Ġb Ġc Ġe Ġf Ġg Ġh").best_elements(sets) == [("a", "b", "c"), None]


def test_unknown_words_stay():
    coverage = cover_tokens(DemographicGroup([["he", "she"]]), words_tokenizer("it"))
    assert coverage.rows == ()
    assert coverage.lost == (("he", "she"),)
