"""Labels that a law of words of several tokens leaves out."""

from __future__ import annotations

import math

import torch

from hf_equi.errors import GroupWarning, warn

__all__ = ["IGNORED", "LEAST", "counted_items", "possible_labels"]

IGNORED = -100
"""The label of places that do not count, as in transformers."""
LEAST = math.log(torch.finfo(torch.float32).tiny)
"""What a loss outside the model reads for a probability of 0, so that it is finite. Such a token has no gradient."""


def possible_labels(labels: torch.Tensor, scores: torch.Tensor, warns: bool = True) -> torch.Tensor:
    """Return labels without those of probability 0, whose loss would be infinite.

    With words of several tokens, no token may follow with which an image would be read as other words: no "s" follows
    "tiger" if its image "cat" and "s" are read as the word "cats". A text that has this "s" all the same is read
    by all members as it is, so its own tokens are possible. What is left out here are other labels.

    Args:
        labels: `(batch, tokens)`.
        scores: `(batch, tokens, vocab)` log-probabilities of the token after each place.
        warns: Whether to warn of them.

    Warns:
        GroupWarning: Once for all of them.

    Example:
        >>> scores = torch.tensor([[[0.0, -torch.inf], [0.0, 0.0], [0.0, 0.0]]])
        >>> possible_labels(torch.tensor([[0, 1, 1]]), scores, warns=False).tolist()
        [[0, -100, 1]]
    """
    next_ = labels[:, 1:]
    said = scores.detach()[:, :-1].gather(-1, next_.clamp(min=0)[..., None]).squeeze(-1)
    lost = said.isneginf() & (next_ != IGNORED)
    count = int(lost.sum())
    if not count:
        return labels
    if warns:
        warn(
            f"{count} of {int((next_ != IGNORED).sum())} labels have probability 0 and do not count in the loss: with "
            "them, an image of the text would be read as other words of several tokens.",
            GroupWarning,
        )
    return torch.cat([labels[:, :1], next_.masked_fill(lost, IGNORED)], 1)


def counted_items(items: torch.Tensor | int, given: torch.Tensor, counted: torch.Tensor) -> torch.Tensor | int:
    """Return the number of labels by which a sum of losses is divided, without those that do not count.

    A `Trainer` counts the labels of all batches that it accumulates. Only those of this batch are known here, so the
    number shrinks as theirs does. Each batch then has the weight of the labels that it was given.

    Args:
        items: The number of labels that the caller has counted.
        given: `(batch, tokens)` the labels of this batch.
        counted: The same, with −100 where they do not count.

    Example:
        >>> given, counted = torch.tensor([[0, 1, 1, 1, 1]]), torch.tensor([[0, 1, 1, 1, -100]])
        >>> float(counted_items(8, given, counted))
        6.0
    """
    if counted is given:
        return items
    there, kept = ((labels[:, 1:] != IGNORED).sum().clamp(min=1) for labels in (given, counted))
    return items * kept / there
