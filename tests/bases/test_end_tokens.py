"""The tokens that end a text."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hf_equi.bases.end_tokens import end_tokens, filling_token
from hf_equi.errors import ConfigurationError


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (None, ()),
        ([], ()),
        (0, (0,)),
        ([3, 5], (3, 5)),
        ((3, 5), (3, 5)),
        ([[3], [5]], (3, 5)),
        (range(3, 5), (3, 4)),
        (torch.tensor(3), (3,)),
        (torch.tensor([3, 5]), (3, 5)),
        (torch.tensor([], dtype=torch.long), ()),
        (np.int64(3), (3,)),
        (np.array([3, 5]), (3, 5)),
    ],
)
def test_all_spellings_of_end_tokens_are_read(value, tokens):
    read = end_tokens(value)
    assert read == tokens
    assert isinstance(read, tuple)
    assert all(type(token) is int for token in read)


def test_batches_are_filled_with_padding_or_an_end_or_anything():
    for pad, end, expected in ((0, 2, 0), (5, None, 5), (None, 2, 2), (None, None, 0)):
        assert filling_token(SimpleNamespace(pad_token_id=pad, eos_token_id=end)) == expected


@pytest.mark.parametrize("value", ["</s>", "2", 2.7, [3, 2.0], True, torch.tensor(2.5), {"id": 2}])
def test_what_is_not_a_token_is_refused_by_name(value):
    with pytest.raises(ConfigurationError, match=r"^pad_token_id=.* is not a token: use its number"):
        end_tokens(value, "pad_token_id")
