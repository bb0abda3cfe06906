"""How a canonicalizer is asked while it trains, if the group's action resamples its inputs."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.symmetrizers.select import Asked

__all__ = ["poses_of", "scores_of"]


def scores_of(canonicalizer: Any, asked: Asked) -> tuple[torch.Tensor, torch.Tensor | None]:
    r"""Return a canonicalizer's scores and its own loss; in training, from turned copies if a turn resamples.

    $$ \text{scores}(x)[h] = \text{scores}(gx)[gh], \qquad g \text{ uniform, for each input} $$

    If the group only moves numbers, both sides are equal, and the left one is computed. If it resamples, the training
    inputs are sharp and lie along the grid of pixels, and their turned copies do not. The prior would then teach a
    canonicalizer to tell blur and the grid, not the pose, and no resampled input would ever be recognised as turned.
    With the right side, both are as frequent in every pose.

    Args:
        canonicalizer: The canonicalizer, of a finite group.
        asked: The inputs.

    Returns:
        `(B, G)` scores, and the loss, `(B,)` or `None`.

    Raises:
        ActionError: If the group does not act on such inputs. Nothing has run then.

    Cost: one pass of the canonicalizer either way.
    """
    _check_inputs(asked)
    if not _turns(canonicalizer, asked):
        scores, loss = canonicalizer(asked.x, asked.base)
        return scores, loss
    drawn = asked.draws.elements(asked.action, asked.x, asked.mask)
    scores, loss = canonicalizer(asked.action.apply(drawn, asked.x), asked.base)
    product = asked.action.group.product[drawn.cpu()].to(scores.device)  # (B, G): gh
    fits = scores.shape == product.shape  # whoever asked refuses other scores
    return (scores.gather(1, product) if fits else scores), loss


def poses_of(canonicalizer: Any, asked: Asked) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
    r"""Return what a canonicalizer of a continuous group computes; in training, from turned copies as `scores_of`.

    $$ h(x) = g^{-1} h(gx), \qquad g \text{ uniform, for each input} $$

    Args:
        canonicalizer: The canonicalizer.
        asked: The inputs.

    Returns:
        `(B, K, n, n)` elements, `(B, K)` log-weights or `None`, and the loss, `(B,)` or `None`.

    Raises:
        ActionError: As `scores_of`.

    Cost: one pass of the canonicalizer either way.
    """
    _check_inputs(asked)
    if not _turns(canonicalizer, asked):
        elements, log_weights, loss = canonicalizer(asked.x, asked.mask, asked.base)
        return elements, log_weights, loss
    group = asked.action.group
    drawn = group.sample(asked.x.shape[0]).to(asked.x)
    elements, log_weights, loss = canonicalizer(asked.action.apply(drawn, asked.x), asked.mask, asked.base)
    fits = elements.dim() == 4 and elements.shape[0] == drawn.shape[0]  # whoever asked refuses other elements
    back = group.inverse(drawn)[:, None].to(elements)
    return (group.compose(back, elements) if fits else elements), log_weights, loss


def _check_inputs(asked: Asked) -> None:
    """Let the action check the shape of the inputs, on none of them."""
    if not torch.compiler.is_compiling():  # a graph has one shape
        asked.action.apply(asked.action.group.identity, asked.x[:0])


def _turns(canonicalizer: Any, asked: Asked) -> bool:
    """Whether the canonicalizer trains on turned copies."""
    return bool(asked.action.resamples and canonicalizer.training and canonicalizer.learns)
