"""Padding that no mask names."""

from __future__ import annotations

import pytest
import torch
from searches import hashed
from small_models import tokenizer
from transformers import PreTrainedModel
from wrapped_texts import wrap

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
        with pytest.raises(
            ConfigurationError, match=rf"^a_mask needs one number for each token, .* Received {given}\. "
        ):
            check_mask(mask, IDS, "a_mask")
    with pytest.raises(ConfigurationError, match=r"the ids, \(2, 4\), after cached tokens\. Received"):
        check_mask(torch.ones(2, 3), IDS, after_cache=True)


def test_leading_padding_alone():
    assert leading_mask(IDS, 1, ends_texts=False).tolist() == [[0, 0, 1, 1], [0, 1, 1, 1]]
    assert leading_mask(IDS, 9, ends_texts=False) is None
    assert leading_mask(IDS, None, ends_texts=False) is None


def test_what_every_row_begins_with_is_text():
    assert leading_mask(IDS, 1, ends_texts=True).tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert leading_mask(IDS[:1], 1, ends_texts=True) is None


def test_a_base_is_not_asked_about_padding_that_a_mask_has_told(monkeypatch):
    """It finds the padding behind texts that have ended, and would recommend to pass a mask."""
    looked, prompt = [], tokenizer()("the man", return_tensors="pt")
    monkeypatch.setattr(PreTrainedModel, "warn_if_padding_and_no_attention_mask", lambda *given: looked.append(given))
    for lm in (wrap(), wrap(method="equizero", scorer=hashed)):
        lm.generate(**prompt, max_new_tokens=2)
        assert looked == []
    lm.base.generate(**prompt, max_new_tokens=2)
    assert looked
