from __future__ import annotations

import torch

from hf_equi.symmetrizers import Canonical, DraftedEquizero, Equitune, Equizero, Identity, LambdaEquitune, Mixture


def test_it_scores_as_equi_tuning_does():
    scores = torch.randn(3, 2, 7).log_softmax(-1)
    totals = [None, None]
    for member in scores:
        totals = [
            method.accumulate(None if total is None else total.clone(), member, 0.0)
            for method, total in zip((Equitune(), DraftedEquizero()), totals, strict=True)
        ]
    assert torch.equal(*totals)
    assert DraftedEquizero.relaxable


def test_it_alone_searches():
    kinds = (Canonical, DraftedEquizero, Equitune, Equizero, Identity, LambdaEquitune, Mixture)
    assert [kind for kind in kinds if kind.searches] == [DraftedEquizero]
    assert not DraftedEquizero.chooses
