from __future__ import annotations

import torch

from hf_equi.symmetrizers import Canonical, Equitune, Equizero, Identity, Mixture


def test_it_scores_as_equi_tuning_does():
    scores = torch.randn(3, 2, 7).log_softmax(-1)
    totals = [None, None]
    for member in scores:
        totals = [
            method.accumulate(None if total is None else total.clone(), member, 0.0)
            for method, total in zip((Equitune(), Equizero()), totals, strict=True)
        ]
    assert torch.equal(*totals)
    assert Equizero.relaxable


def test_it_alone_searches():
    assert [kind.name for kind in (Canonical, Equitune, Equizero, Identity, Mixture) if kind.searches] == ["equizero"]
