"""How a canonicalizer is asked while it trains, if the group's action resamples its inputs."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.symmetrizers.select import Asked

__all__ = ["scores_of"]


def scores_of(canonicalizer: Any, asked: Asked) -> tuple[torch.Tensor, torch.Tensor | None]:
    r"""Return a canonicalizer's scores and its own loss; in training, from turned copies if a turn resamples.

    $$ \text{scores}(x)[h] = \text{scores}(gx)[gh], \qquad g \text{ uniform, for each input} $$

    For an exact group both sides are equal, and the left one is computed. For other groups, the training inputs are
    sharp and lie along the grid of pixels, and their turned copies do not. The prior would then teach a canonicalizer
    to tell blur and the grid, not the pose, and no resampled input would ever be recognised as turned. With the right
    side, both are as frequent in every pose.

    Args:
        canonicalizer: The canonicalizer.
        asked: The inputs.

    Returns:
        `(B, G)` scores, and the loss, `(B,)` or `None`.

    Cost: one pass of the canonicalizer either way.
    """
    exact = getattr(asked.action.group, "exact", True)
    if exact or not (canonicalizer.training and canonicalizer.learns):
        scores, loss = canonicalizer(asked.x, asked.base)
        return scores, loss
    drawn = asked.draws.elements(asked.action, asked.x, asked.mask)
    scores, loss = canonicalizer(asked.action.apply(drawn, asked.x), asked.base)
    product = asked.action.group.product[drawn.cpu()].to(scores.device)  # (B, G): gh
    fits = scores.shape == product.shape  # whoever asked refuses other scores
    return (scores.gather(1, product) if fits else scores), loss
