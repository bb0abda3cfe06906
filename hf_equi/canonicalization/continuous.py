"""Canonicalizers of continuous groups: they compute the element itself."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch

from hf_equi.canonicalization.base import Canonicalizer, Pose, Relaxation
from hf_equi.canonicalization.turned_copies import poses_of
from hf_equi.errors import ConfigurationError
from hf_equi.symmetrizers import Asked

__all__ = ["ContinuousCanonicalizer", "distance_prior"]


class ContinuousCanonicalizer(Canonicalizer):
    r"""A module that computes the pose of each input, an element of a continuous group.

    $$ h(gx) = g\, h(x) $$

    The base reads $h(x)^{-1}x$. Gradients flow through h. Where no single element can be told, such as the axes of a
    cloud, whose signs are free, it returns several. When the input moves, the set of elements moves along and keeps
    its weights, and the outputs of the base are averaged. A subclass sets `group` and defines `poses`;
    `hf_equi.testing.assert_canonicalizer` checks it.

    Cost: K base forwards for K elements.

    Example:
        >>> from hf_equi.groups import SO2
        >>> class FirstVector(ContinuousCanonicalizer):
        ...     "Turns sets of vectors of the plane so that the first one lies on the first axis."
        ...     group = SO2()
        ...
        ...     def poses(self, x, mask=None):
        ...         a, b = (x[:, 0] / x[:, 0].norm(dim=-1, keepdim=True)).unbind(-1)
        ...         return torch.stack([a, -b, b, a], -1).view(-1, 1, 2, 2), None
        >>> elements, _ = FirstVector().poses(torch.tensor([[[0.0, 2.0]]]))
        >>> (elements[0].mT @ torch.tensor([0.0, 2.0])).tolist()
        [[2.0, 0.0]]
    """

    @abstractmethod
    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Compute h(x).

        Args:
            x: `(B, ...)` inputs.
            mask: `(B, N)`, 0 where a set of points is padded; `None` for no padding.

        Returns:
            `(B, K, n, n)` elements, in float32 at least, and `(B, K)` log-weights up to a constant for each input, or
            `None` if all count alike.
        """

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, base: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]:
        """Return `poses`, and a loss of its own for each input, `(B,)`; `None` for none.

        Args:
            x: As in `poses`.
            mask: As in `poses`.
            base: The model that reads the canonical members, for a canonicalizer that asks it.
        """
        elements, log_weights = self.poses(x) if mask is None else self.poses(x, mask)
        return elements, log_weights, None

    def find(self, asked: Asked, relaxation: Relaxation) -> Pose:
        """Compute the elements, and check them. `relaxation` is not used: nothing is chosen.

        Raises:
            ActionError: If the group does not act on such inputs.
            ConfigurationError: For another shape than `(B, K, n, n)`, for NaN, or if all weights of an input are 0.
        """
        elements, log_weights, loss = poses_of(self, asked)
        _check_poses(elements, log_weights, asked.x.shape[0], self.group)
        far = distance_prior(elements)  # (B, K)
        prior = far.mean(1) if log_weights is None else (log_weights.softmax(1) * far).sum(1)
        pose = elements.detach()
        said = {"canonical_element": pose[:, 0] if pose.shape[1] == 1 else pose}
        return Pose(elements, prior, log_weights, loss, said=said)


def distance_prior(elements: torch.Tensor) -> torch.Tensor:
    r"""Return the squared Frobenius distance of elements to the identity: training inputs are taken to be in pose.

    $$ \lVert h(x) - 1 \rVert^2 $$

    For a rotation of the plane by θ it is $4 - 4 \cos θ$.

    Args:
        elements: `(..., n, n)`.

    Returns:
        `(...)`.

    References:
        arXiv 2310.01647, section 3.3.

    Example:
        >>> distance_prior(torch.tensor([[[0.0, -1.0], [1.0, 0.0]]]))
        tensor([4.])
    """
    identity = torch.eye(elements.shape[-1], dtype=elements.dtype, device=elements.device)
    return (elements - identity).square().sum((-2, -1))


def _check_poses(elements: Any, log_weights: Any, count: int, group: Any) -> None:
    """Refuse what names no elements."""
    shape = tuple(elements.shape)
    if len(shape) != 4 or shape[0] != count or not shape[1] or shape[2:] != (group.side,) * 2:
        raise ConfigurationError(
            f"The canonicalizer returned elements of the shape {shape}; for {count} inputs and {group!r} they must be "
            f"({count}, K, {group.side}, {group.side}), with K elements for each input"
        )
    if log_weights is not None and tuple(log_weights.shape) != shape[:2]:
        raise ConfigurationError(
            f"The canonicalizer returned log-weights of the shape {tuple(log_weights.shape)}; there must be one for "
            f"each element, {shape[:2]}"
        )
    if torch.compiler.is_compiling() or elements.is_meta:
        return
    lost = ~elements.isfinite().flatten(1).all(1)
    if log_weights is not None:
        lost = lost | ~log_weights.amax(1).isfinite() | log_weights.isnan().any(1)
    if bool(lost.any()):
        raise ConfigurationError(
            f"The canonicalizer's pose of sample {int(lost.int().argmax())} is NaN or infinite, so it has no "
            "canonical member. Look for NaN in the input or in the weights; training may have diverged."
        )
