from __future__ import annotations

import torch
from token_actions import action_of

from hf_equi.symmetrizers import DraftedEquizero, Equitune, Orbit

ACTION = action_of(9, [[5, 1], [2, 7]], [[6, 3, 4]])


def test_it_scores_as_equi_tuning_does():
    orbit = Orbit.start(torch.arange(6)[None], shared=False)
    scores, results = torch.randn(6, 2, 9).log_softmax(-1), []
    for method in (Equitune("probabilities"), DraftedEquizero("probabilities")):
        fold = method.combine.fold(orbit, ACTION)
        fold.add(0, scores)
        results.append(fold.result())
    assert torch.equal(*results)
