"""Padding that no mask names."""

from __future__ import annotations

import pytest
import torch

from hf_equi.errors import ConfigurationError
from hf_equi.generation.padding import check_mask, infer_mask, leading_mask

IDS = torch.tensor([[1, 1, 5, 6], [1, 7, 1, 8]])


def test_inferred_as_generate_does():
    assert infer_mask(IDS, 1, [0]).tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert infer_mask(IDS, 1, [1]) is None
    assert infer_mask(IDS, None, [0]) is None
    assert infer_mask(IDS, 9, [0]) is None


def test_a_mask_has_one_number_a_token():
    for mask in (None, torch.ones(2, 4), torch.ones(2, 4, dtype=torch.bool)):
        check_mask(mask, IDS)
    check_mask(torch.ones(2, 9), IDS, after_cache=True)
    for mask, given in (
        (torch.ones(2, 1, 4, 4), r"the shape \(2, 1, 4, 4\)"),
        (torch.ones(2, 5), r"the shape \(2, 5\)"),
        (torch.ones(1, 4), r"the shape \(1, 4\)"),
        ({"full_attention": torch.ones(2, 4)}, "the type dict"),
    ):
        with pytest.raises(ConfigurationError, match=rf"^a_mask needs one number a token, .* Received {given}\. "):
            check_mask(mask, IDS, "a_mask")
    with pytest.raises(ConfigurationError, match=r"the ids, \(2, 4\), behind cached tokens\. Received"):
        check_mask(torch.ones(2, 3), IDS, after_cache=True)


def test_leading_padding_alone():
    assert leading_mask(IDS, 1, ends_texts=False).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert leading_mask(IDS, 9, ends_texts=False) is None
    assert leading_mask(IDS, None, ends_texts=False) is None


def test_what_every_row_begins_with_is_text():
    assert leading_mask(IDS, 1, ends_texts=True).tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert leading_mask(IDS[:1], 1, ends_texts=True) is None
