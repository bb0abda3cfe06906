"""Which images of the tokens that a setting names it does not name alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from token_actions import action_of
from unit_models import PAIRS

from hf_equi import DemographicGroup, TokenAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.generation.named_tokens import missing_images, read_biases, read_strings, read_tokens, read_words

# Two circles: 1 → 2 → 3 with 4 → 5 → 6, and 7 ↔ 8. 0 and 9 do not move.
ACTION = action_of(10, [[1, 2, 3], [4, 5, 6]], [[7, 8]])


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        (read_tokens(0), []),
        (read_tokens(1), [(2,), (3,)]),
        (read_tokens(torch.tensor([1, 2])), [(3,)]),
        (read_tokens([3, 9, 1, 2]), []),
        (read_tokens(np.array([1, 2])), [(3,)]),
        (read_tokens(np.int64(7)), [(8,)]),
        (read_tokens(range(1, 3)), [(3,)]),
        (read_tokens([[1], [2]]), [(3,)]),
        (read_tokens((7, 1, 2, 3)), [(8,)]),
        (read_tokens(99), []),
        (read_words([[9, 0]]), []),
        (read_words([[9, 1], [9, 2], [9, 3]]), []),
        (read_words([[1, 4]]), [(2, 5), (3, 6)]),
        (read_words([[1, 4], [2, 5], [3, 6], [1, 5]]), [(2, 6), (3, 4)]),
        (read_words([[1, 7], [1, 8], [2, 7], [2, 8], [3, 7]]), [(3, 8)]),
        (read_biases({(1,): 0.5, (2,): 0.5, (3,): 0.5}), []),
        (read_biases([[[7], 1.0], [[8], -1.0]]), [(7,), (8,)]),
        (read_biases({(0,): 0.5, (7,): 2.0}), [(8,)]),
        ({}, []),
    ],
)
def test_images_of_tokens(named, missing):
    assert sorted(missing_images(named, ACTION)) == missing


def test_images_of_strings():
    words = TokenAction(DemographicGroup([["he", "she"]]), TokenMap(4, (((1, 2),),)))
    assert missing_images(read_strings(["He said", "."]), words) == ["She said"]
    assert missing_images(read_strings(["He said", "She said"]), words) == []
    assert missing_images(read_strings("other"), words) == []  # of a longer word


def test_strings_of_a_group_that_cannot_act_on_texts():
    """One word is a part of another, so that no `WordAction` moves them; tokens move all the same."""
    group = DemographicGroup([["black", "white"], ["black man", "white man"]])
    action = TokenAction(group, TokenMap(6, (((1, 2), (3, 4)),)))
    assert missing_images(read_strings(["black", "white", "a black man"]), action) == ["a white man"]


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({(2, 5): None}, [(6, 1, 3)]),
        ({(2, 5): None, (6, 1, 3): None}, []),
        ({(3,): None, (4,): None}, [(2, 5), (6, 6)]),  # 3 stands in 2 3, 6 1 3 and 2 3 5
        ({(2, 3): 1.0, (4,): 1.0}, [(6, 6)]),  # 2 3 begins 2 3 5
        ({(2, 3): 1.0, (4,): 1.0, (6, 6): 1.0}, []),
        ({(2, 3): 1.0, (4,): 1.0, (2, 3, 5): 0.5, (6, 6): 1.5}, []),  # what meets adds up
        ({(9, 2, 5): None}, [(9, 6, 1, 3)]),
        ({(7,): None, (9,): None}, [(0,)]),
    ],
)
def test_words_of_several_tokens_are_named_by_their_tokens(named, missing):
    assert missing_images(named, PAIRS) == missing
