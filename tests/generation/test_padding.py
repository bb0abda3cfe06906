"""Padding that no mask names."""

from __future__ import annotations

import torch

from hf_equi.generation.padding import infer_mask, leading_mask

IDS = torch.tensor([[1, 1, 5, 6], [1, 7, 1, 8]])


def test_inferred_as_generate_does():
    assert infer_mask(IDS, 1, [0]).tolist() == [[0, 0, 1, 1], [0, 1, 0, 1]]
    assert infer_mask(IDS, 1, [1]) is None
    assert infer_mask(IDS, None, [0]) is None
    assert infer_mask(IDS, 9, [0]) is None


def test_leading_padding_alone():
    assert leading_mask(IDS, 1, ends_texts=False).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert leading_mask(IDS, 9, ends_texts=False) is None
    assert leading_mask(IDS, None, ends_texts=False) is None


def test_what_every_row_begins_with_is_text():
    assert leading_mask(IDS, 1, ends_texts=True).tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert leading_mask(IDS[:1], 1, ends_texts=True) is None
