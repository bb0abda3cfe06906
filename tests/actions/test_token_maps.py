"""The tokens that stand for words, as a config stores them."""

from __future__ import annotations

import json

import pytest

from hf_equi.actions.token_maps import TokenMap
from hf_equi.errors import ActionError


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ((((1, 2), (3, 4, 5)),), r"token sets \[1, 2\] and \[3, 4, 5\] of one factor differ in length"),
        ((((1, 2), (3, 1)),), r"not a permutation: the token 1 is in \[3, 1\] and in \[1, 2\]"),
        ((((1, 2),), ((3, 2, 4),)), r"not a permutation: the token 2 is in \[3, 2, 4\] and in \[1, 2\]"),
        ((((3, 3),),), r"not a permutation: the token 3 is in \[3, 3\]"),
        ((((1, 6),),), r"token 6 of the set \[1, 6\] is outside the vocabulary of 6 tokens"),
        ((((-1, 2),),), r"token -1 of the set \[-1, 2\] is outside"),
    ],
)
def test_sets_that_make_no_permutation_raise(sets, message):
    with pytest.raises(ActionError, match=message):
        TokenMap(6, sets)


def test_map_survives_json():
    token_map = TokenMap(9, (((5, 1), (2, 7)), ()), ((8, 0), None), (None, ()))
    restored = TokenMap.from_dict(json.loads(json.dumps(token_map.to_dict())))
    assert restored == token_map
    assert restored.neutral == ((8, 0), None)
    assert restored.general == (None, ())
    assert token_map.moved == (1, 2, 5, 7)
