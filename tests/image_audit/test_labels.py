"""Classes by their names and numbers."""

from __future__ import annotations

import pytest

from hf_equi.image_audit.labels import ClassNames

CLASSES = ClassNames({0: "tench, Tinca tinca", 1: "tiger shark", 2: "crane", 3: "Crane", 4: "crane, bird", 5: "0"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tench, Tinca tinca", 0),
        ("tinca-TINCA", 0),
        ("Tiger_shark", 1),
        ("crane", 2),  # as the model spells it
        ("CRANE", None),  # of three classes
        ("3", 3),
        ("0", 5),  # a name before a number
        ("6", None),
        ("-1", None),
        ("shark", None),
    ],
)
def test_a_label_is_a_name_or_a_number(text: str, found: int | None) -> None:
    assert CLASSES.find(text) == found
    assert CLASSES.ambiguous(text) == (text == "CRANE")


def test_a_name_that_is_not_known_brings_the_one_that_was_meant() -> None:
    assert CLASSES.nearest("tigershark") == "tiger shark"
    assert CLASSES.nearest("xyz") == ""
    assert CLASSES.examples() == "0 ('tench, Tinca tinca'), 1 ('tiger shark') and so on up to 5"
