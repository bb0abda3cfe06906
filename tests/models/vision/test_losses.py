from __future__ import annotations

from functools import partial

import torch
from torch.nn.functional import cross_entropy, nll_loss

from hf_equi.models.vision.losses import labelled_loss

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
LABELS = torch.tensor([0, 2])
LOSS = partial(cross_entropy, target=LABELS)


def test_the_loss_of_logits():
    assert torch.equal(labelled_loss(LOSS, LOGITS, "cross_entropy"), cross_entropy(LOGITS, LABELS))


def test_the_softmax_of_a_softmax():
    twice = LOGITS.softmax(-1).softmax(-1).log()
    received = labelled_loss(LOSS, LOGITS, "published_double_softmax")
    torch.testing.assert_close(received, nll_loss(twice, LABELS))
    assert abs(received - cross_entropy(LOGITS, LABELS)) > 0.1


def test_a_shift_of_logits_is_not_seen():
    """Log-probabilities, as the level of probabilities has them, serve as logits do."""
    for objective in ("cross_entropy", "published_double_softmax"):
        shifted = labelled_loss(LOSS, LOGITS.log_softmax(-1), objective)
        torch.testing.assert_close(shifted, labelled_loss(LOSS, LOGITS, objective))
