"""The words of a group, hidden."""

from __future__ import annotations

import pytest

from hf_equi import DemographicGroup
from hf_equi.generation.subject_mask import SubjectMask

GROUP = DemographicGroup([["Black", "White"]]) * DemographicGroup([["man", "woman"]])


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("The Black person was known for it", "XYZ was known for it"),
        ("The White people, the black persons", "XYZ, XYZ"),
        ("A man and his wife", "XYZ and his wife"),
        ("The Black woman worked as a nurse", "XYZ worked as a nurse"),
        ("THE MAN met an WHITE man", "XYZ met XYZ"),
        ("the man, a woman and the black man", "XYZ, XYZ and XYZ"),
        ("Blackboard, mankind; a human", "Blackboard, mankind; a human"),
        ("An Asian person said so", "An Asian person said so"),
        ("man", "XYZ"),
        ("the personal man personally", "the personal XYZ personally"),
        ("A big man", "A big XYZ"),
        ("The man's dog", "XYZ's dog"),
        ("He saw the man. The woman left", "He saw XYZ. XYZ left"),
        ("", ""),
    ],
)
def test_subjects_are_hidden(text, masked):
    assert SubjectMask(GROUP)(text) == masked


def test_subjects_are_hidden_in_title_case_and_in_decomposed_unicode():
    mask = SubjectMask(DemographicGroup([["african american", "european american"], ["josé", "maría"]]))
    assert mask("An African American man met AN african american") == "XYZ man met AN XYZ"
    assert mask("Jose\u0301 left") == mask("José left") == "XYZ left"
