"""The share of inputs in canonical pose, as a metric."""

from __future__ import annotations

import pytest

from hf_equi.canonicalization.identity_share import IdentityShare


def test_it_is_a_share_of_the_identity_or_of_known_elements():
    assert IdentityShare().compute(predictions=[0, 3, 0, 0, 1]) == {"identity_share": pytest.approx(0.6)}
    assert IdentityShare().compute(predictions=[0, 3, 2], references=[1, 3, 2])["identity_share"] == pytest.approx(
        2 / 3
    )
    assert "canonical_element" in IdentityShare().inputs_description
