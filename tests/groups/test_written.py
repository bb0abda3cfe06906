"""Groups as people write them."""

from __future__ import annotations

import pytest

from hf_equi import DemographicGroup
from hf_equi.errors import GroupError
from hf_equi.groups.written import read_csv, read_json

GENDER = DemographicGroup([["man", "woman"], ["he", "she"]])
NAMED = DemographicGroup([["Black", "White"]], names=["Black man", "White man"], neutral=["the"])


@pytest.mark.parametrize(
    ("text", "group"),
    [
        ('[["man", "woman"], ["he", "she"]]', GENDER),
        ('{"equality": [["man", "woman"], ["he", "she"]]}', GENDER),
        ('{"equality": [["Black", "White"]], "names": ["Black man", "White man"], "neutral": ["the"]}', NAMED),
        ((GENDER * NAMED).to_json(), GENDER * NAMED),
    ],
)
def test_json_has_a_short_form_a_long_one_and_that_of_to_json(text, group):
    assert DemographicGroup.from_json(text) == group


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"^The text is not JSON: .* in line 1, column 2, at its end\. A group is described by its sets"),
        ("[" * 100_000, "not JSON.*maximum recursion depth"),
        ("[]", "at least one set"),
        ('["man", "woman"]', "list of words.*received 'man' as a set"),
        ("7", "received 7"),
        ('{"equality": [["a", "b"], ["a", "c"]]}', "'a' is in the equality sets twice"),
        ('{"equality": [["a", "b"]], "name": ["x", "y"]}', "key 'name' is not known: did you mean 'names'"),
    ],
)
def test_other_json_is_refused(text, message):
    with pytest.raises(GroupError, match=message):
        read_json(text)


@pytest.mark.parametrize(
    "text",
    [
        "man,woman\nman,woman\nhe,she\n",
        "\n man ; woman;\r\nman;woman\r\n\r\nhe;she;;\r\n",
        'man\twoman\n"man"\twoman\nhe\tshe',
    ],
)
def test_a_csv_has_a_row_a_set_and_a_column_a_demographic(text):
    assert read_csv(text) == GENDER.factors


def test_the_header_of_a_csv_has_the_names():
    (factor,) = read_csv("gay person,straight person\ngay,straight\n")
    assert (factor.names, factor.sets) == (("gay person", "straight person"), (("gay", "straight"),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a CSV needs a header .* and a row for each"),
        ("man,woman\n", "a CSV needs a header"),
        ("man woman\nhe she", "the header 'man woman' names one column"),
        ("man,,woman\na,b,c", "column 2 has no name"),
        ("man,man\na,b", "column 2 has the name 'man' of another column"),
        ("man,woman\nman,woman\n\nhe,\n", "line 4 has no word in the column 'woman'"),
        (
            "man,woman\nman,woman\nhe,she,it\n",
            r"line 3 has 3 words, but the header has 2 columns \(man, woman\).*'it'",
        ),
        (
            "man,woman\nman,woman\nhis,her\nhim,her\n",
            "'her' is in line 3, column 'woman' and in line 4, column 'woman'.*one word to two",
        ),
        ('man,woman\n"man,woman\n', "line 2 is not CSV: unexpected end of data"),
        ("man,woman\nhe,she\n", "names the demographics 'man', 'woman', but no row below.*as the line man,woman"),
    ],
)
def test_line_and_column_of_what_is_wrong_in_a_csv_are_named(text, message):
    with pytest.raises(GroupError, match=message):
        read_csv(text)


def test_a_file_is_read_by_its_name(tmp_path):
    table, text, other = tmp_path / "words.CSV", tmp_path / "words.json", tmp_path / "words"
    table.write_text("\ufeffman,woman\nman,woman\nhe,she\n", encoding="utf-8")
    text.write_text('[["man", "woman"], ["he", "she"]]')
    other.write_text(GENDER.to_json())
    assert all(DemographicGroup.from_file(path) == GENDER for path in (table, text, str(other)))


def test_errors_of_a_file_name_it(tmp_path):
    path = tmp_path / "words.csv"
    with pytest.raises(GroupError, match=rf"{path} cannot be read: No such file"):
        DemographicGroup.from_file(path)
    path.write_bytes(b"Jos\xe9,Ana\n")
    with pytest.raises(GroupError, match=rf"{path} is not UTF-8 text: save it as UTF-8"):
        DemographicGroup.from_file(path)
    path.write_text("man,woman\nman,\n")
    with pytest.raises(GroupError, match=rf"{path}: line 2 has no word in the column 'woman'"):
        DemographicGroup.from_file(path)
