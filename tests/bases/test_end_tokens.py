"""The tokens that end a text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_equi.bases.end_tokens import end_tokens


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
