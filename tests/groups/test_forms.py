import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_equi.errors import GroupError
from hf_equi.groups import FormRow
from hf_equi.groups.forms import composed, derive_rows, surface_forms, written_words


def rows_of(*sets):
    return [row.words for row in derive_rows([sets])]


def test_case_forms_of_words_and_phrases():
    assert rows_of(("he", "she")) == [("he", "she"), ("He", "She"), ("HE", "SHE")]
    assert rows_of(("young Man", "young Woman")) == [
        ("young Man", "young Woman"),
        ("young man", "young woman"),
        ("Young man", "Young woman"),
        ("Young Man", "Young Woman"),
        ("YOUNG MAN", "YOUNG WOMAN"),
    ]
    assert rows_of(("ex-husband", "ex-wife"))[1:] == [
        ("Ex-husband", "Ex-wife"),
        ("Ex-Husband", "Ex-Wife"),
        ("EX-HUSBAND", "EX-WIFE"),
    ]
    assert rows_of(("o'brien", "d'arcy"))[1:] == [("O'brien", "D'arcy"), ("O'BRIEN", "D'ARCY")]


def test_rows_name_factor_and_source():
    rows = derive_rows([[("he", "she")], [("Black", "White")]])
    assert rows[0] == FormRow(factor=0, words=("he", "she"), source=("he", "she"), explicit=True)
    assert rows[-1] == FormRow(factor=1, words=("BLACK", "WHITE"), source=("Black", "White"), explicit=False)


def test_title_case_that_is_written_out_wins():
    rows = rows_of(("new man", "new woman"), ("New Man", "Old Boy"), ("New man", "Old boy"), ("NEW MAN", "OLD BOY"))
    assert ("New Man", "Old Boy") in rows
    assert ("New Man", "New Woman") not in rows


def test_forms_are_found_in_decomposed_unicode():
    rows = derive_rows([[("josé", "maría")]])
    assert all(composed(word) == word for row in rows for word in row.words)
    words = written_words(rows)
    assert words["Jose\u0301"] is words["José"]
    assert words["MARI\u0301A"].words == ("JOSÉ", "MARÍA")
    assert set(words) - {word for row in rows for word in row.words} == {"jose\u0301", "mari\u0301a"} | {
        "Jose\u0301",
        "Mari\u0301a",
        "JOSE\u0301",
        "MARI\u0301A",
    }


def test_explicit_forms_win_over_derived_ones():
    # "May" of the months is written out, so the derived "May" of the verb, and "may" of the months, are left out.
    rows = rows_of(("may", "might"), ("May", "June"), ("MAY", "MIGHT"))
    assert rows == [("may", "might"), ("May", "June"), ("MAY", "MIGHT")]


def test_equal_mappings_merge_also_when_rotated():
    assert rows_of(("man", "woman"), ("Woman", "Man")) == [("man", "woman"), ("MAN", "WOMAN"), ("Woman", "Man")]
    assert rows_of(("a", "b", "c"), ("B", "C", "A")) == [("a", "b", "c"), ("B", "C", "A")]


def test_forms_that_fall_together_are_left_out():
    assert rows_of(("polish", "Polish")) == [("polish", "Polish")]
    assert rows_of(("a", "an")) == [("a", "an"), ("A", "An")]


def test_conflicting_derivations_raise():
    with pytest.raises(GroupError, match=r"send 'MAY' to different words: \['may', 'might'\].* and \['May', 'June'\]"):
        rows_of(("may", "might"), ("May", "June"))
    with pytest.raises(GroupError, match=r"\(factor 0\) and .*\(factor 1\)"):
        derive_rows([[("may", "might")], [("May", "June")]])


def test_surface_forms():
    assert surface_forms("Black person") == (
        "Black person",
        "black person",
        "Black Person",
        "BLACK PERSON",
    )
    assert surface_forms("he") == ("he", "He", "HE")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abAB", min_size=1, max_size=2), min_size=2, max_size=8, unique=True))
def test_each_string_is_in_one_row(words):
    sets = list(zip(words[::2], words[1::2], strict=False))
    try:
        rows = derive_rows([sets])
    except GroupError:
        return
    strings = [word for row in rows for word in row.words]
    assert len(strings) == len(set(strings))
    assert [row.words for row in rows if row.explicit] == sets
