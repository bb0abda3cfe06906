"""Prompts that may be read in several ways are named, once a call."""

from __future__ import annotations

import warnings

import pytest
from unit_models import PAIRS, PROMPTS, padded, toy_lm

from hf_equi.errors import GroupWarning


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ([9, 2], r"ends in \[2\]. This, or an image of it, may be the beginning"),
        ([9, 2, 3], r"ends in \[2, 3\]"),
        ([9, 4], r"ends in \[4\]"),  # its image, 2 3, may go on
        ([4, 5, 9], r"Pieces of \[4, 5, 9\], or of an image of it, meet"),
    ],
)
def test_open_prompts_and_those_that_do_not_read_back(prompt, message):
    with pytest.warns(GroupWarning, match=message) as caught:
        toy_lm(PAIRS).generate(**padded([prompt, PROMPTS[0], prompt]), max_new_tokens=2)
    assert len(caught) == 1


def test_texts_that_do_not_read_back_are_named_by_forward_too():
    with pytest.warns(GroupWarning, match=r"Pieces of \[4, 5, 9\]") as caught:
        toy_lm(PAIRS).eval()(**padded([[4, 5, 9], PROMPTS[0]]))
    assert len(caught) == 1


def test_other_prompts_say_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        toy_lm(PAIRS).generate(**padded(PROMPTS), max_new_tokens=2)
        toy_lm(PAIRS).eval()(**padded([*PROMPTS, [9, 2]]))  # a text may end anywhere
