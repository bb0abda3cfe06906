"""The share of inputs in canonical pose, as a metric."""

from __future__ import annotations

import evaluate
import pytest
import torch

from hf_equi.canonicalization.identity_share import IdentityShare
from hf_equi.errors import ConfigurationError


def test_it_is_a_share_of_the_identity_or_of_known_elements():
    assert IdentityShare().compute(predictions=[0, 3, 0, 0, 1]) == {"identity_share": pytest.approx(0.6)}
    turned = torch.tensor([1, 3, 2])
    found = IdentityShare().compute(predictions=torch.tensor([0, 3, 2]), references=turned)
    assert found["identity_share"] == pytest.approx(2 / 3)


def test_it_takes_inputs_in_all_ways_of_evaluate():
    for known, expected in ((None, 0.5), ([1, 2], 1.0)):
        share = IdentityShare()
        for element, turn in zip([1, 2], known or [None, None], strict=True):
            share.add(prediction=element, reference=turn)
        share.add_batch(predictions=[0, 0])
        assert share.compute() == {"identity_share": expected}
        assert share.compute(predictions=[0, 1]) == {"identity_share": 0.5}, "it starts anew"
        share.add_batch(predictions=[0])
        assert share.compute(predictions=[0, 1], references=[0, 1]) == {"identity_share": 1.0}
    both = evaluate.combine({"upright": IdentityShare(), "known": IdentityShare()})
    assert both.compute(predictions=[0, 1], references=[0, 0]) == {
        "upright_identity_share": 0.5,
        "known_identity_share": 0.5,
    }


def test_no_inputs_have_no_share():
    for given in ({}, {"predictions": []}):
        with pytest.raises(ConfigurationError, match="No input has a share: pass predictions="):
            IdentityShare().compute(**given)
    with pytest.raises(ConfigurationError, match="pass each canonical_element too"):
        IdentityShare().compute(references=[0])
