"""The angle of an image, by the first circular harmonic of scores over the turns of a finite group."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from hf_equi.canonicalization.axes import rounding
from hf_equi.canonicalization.base import TYPE, read_canonicalizer
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.canonicalization.group_convolution import GroupConvolution
from hf_equi.checks import check_count
from hf_equi.errors import ConfigurationError
from hf_equi.groups import O2, SO2, ImageGroup
from hf_equi.groups.rotations import multiply

__all__ = ["CircularHarmonic"]

_TURNS = 8
"""The turns that are scored by default."""


class CircularHarmonic(ContinuousCanonicalizer):
    r"""An angle between the turns of a finite group, read off the scores of these turns.

    $$ z(x) = \sum_{k=0}^{n-1} \text{scores}(x)[k]\, e^{2 \pi i k / n}, \qquad h(x) = \text{the turn by } \arg z(x) $$

    When an image is turned, the scores move on, and z turns with them. With mirrors there are scores of the 2n
    symmetries of a polygon. The n with a mirror have a harmonic of their own, and the one with the larger absolute
    value decides: h(x) is the orthogonal matrix nearest to $\sum_h \text{scores}(x)[h] A_h$. Gradients flow through
    the angle; that of the choice between the two is the gradient of the softmax of their absolute values
    (straight-through).

    If z is 0 up to rounding, as in an image that is the same after half a turn, the element with the best score is
    taken.

    Args:
        group: `SO2` or `O2`.
        scorer: A canonicalizer of `ImageGroup.rotations(n)` for `SO2`, and of `ImageGroup.dihedral(n)` for `O2`, with
            n at least 3; by default a `GroupConvolution` with n = 8.

    Raises:
        ConfigurationError: For another group, or a scorer of another group.

    Cost: the scorer. Guarantee: as exact as the scores for the turns that the group of the scorer has: with
    `GroupConvolution` to rounding for quarter turns and mirrors, and approximate for all others, which resample. The
    table gives, for turns by 5°, 10°, ..., 355°, five random networks with n = 8, and images like those in the
    docstring of `GroupConvolution`, how far the angle of the turned image is from the angle of the image plus the
    turn.

    | images | quarter turns, at most | other turns, median | other turns, 95th percentile |
    |---|---|---|---|
    | 32 × 32 | 0.0002° | 2.9° | 21° |
    | 96 × 96 | 0.0003° | 1.6° | 13° |

    References:
        arXiv 2211.06489, section 4.1, finds the angle by a steerable network with escnn. The harmonic of a network
        over a finite group is our own choice: it needs neither another package nor other weights.

    Example:
        >>> network, image = CircularHarmonic(SO2()).eval(), torch.rand(1, 3, 32, 32)
        >>> with torch.no_grad():
        ...     h, turned = (network.poses(x)[0] for x in (image, image.rot90(1, (2, 3))))
        >>> quarter = SO2().exp(torch.tensor([torch.pi / 2]))
        >>> torch.allclose(turned, quarter @ h, atol=1e-3)
        True
    """

    kind = "circular_harmonic"
    limit = (
        "**An angle.** The canonicalizer finds the angle of an image exactly only for turns by multiples of 90°. For "
        "other turns it is off by some degrees, and so is what the base reads."
    )

    def __init__(self, group: SO2 | O2, scorer: FiniteCanonicalizer | None = None) -> None:
        super().__init__()
        if not isinstance(group, (SO2, O2)):
            raise ConfigurationError(f"A CircularHarmonic finds elements of SO2() or O2(), not of {group!r}")
        self.group = group
        self.scorer = GroupConvolution(self._turns(_TURNS)) if scorer is None else scorer
        found = getattr(self.scorer, "group", None)
        turns = found.n if isinstance(found, ImageGroup) else None
        if turns is None or found != self._turns(turns) or not hasattr(self.scorer, "scores"):
            raise ConfigurationError(
                f"scorer= finds elements of {found!r}, but those of {group!r} are found by the scores of "
                f"{self._turns(_TURNS)!r}: pass a canonicalizer of this group, or of more turns"
            )
        if turns < 3:
            raise ConfigurationError(f"{turns} turns tell no angle from its opposite: use 3 or more, such as 8")
        self.turns = turns
        self.learns = self.scorer.learns
        self.own_loss = self.scorer.own_loss
        self.equivariant = self.scorer.equivariant

    def _turns(self, n: int) -> ImageGroup:
        """Return the group of n turns, with mirrors if the group has them."""
        return ImageGroup.dihedral(n) if self.group.mirrors else ImageGroup.rotations(n)

    def poses(self, x: torch.Tensor, mask: torch.Tensor | None = None) -> tuple[torch.Tensor, None]:
        """Return the element of each image, `(B, C, H, W)` to `(B, 1, 2, 2)`, and no weights.

        Raises:
            ConfigurationError: If the scorer returns anything but scores, or needs a base: call the symmetrised model.
        """
        return self._of_scores(self.scorer.scores(x)), None

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None = None, base: Any = None
    ) -> tuple[torch.Tensor, None, torch.Tensor | None]:
        """Return `poses`, and the loss of the scorer.

        Args:
            x: `(B, C, H, W)` images.
            mask: Not used.
            base: The model that reads the canonical images, for a scorer that asks it.
        """
        scores, loss = self.scorer(x, base)
        return self._of_scores(scores), None, loss

    def _of_scores(self, scores: torch.Tensor) -> torch.Tensor:
        """Return the elements, `(B, 1, 2, 2)`."""
        order = self.scorer.group.order
        if scores.dim() != 2 or scores.shape[1] != order:
            raise ConfigurationError(
                f"The scorer returned scores of the shape {tuple(scores.shape)}; there must be {order} for each image"
            )
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        spread = scores - scores.mean(1, keepdim=True)
        angles = torch.arange(self.turns, device=scores.device, dtype=scores.dtype) * (2 * math.pi / self.turns)
        waves = torch.stack([angles.cos(), angles.sin()], -1)
        # Element k + n s is turn k. The product is one of full precision, also under autocast.
        vectors = multiply(spread.view(spread.shape[0], -1, self.turns), waves)  # (B, 1 or 2, 2)
        lengths = torch.linalg.vector_norm(vectors, dim=-1)
        found = self._nearest(vectors, lengths)
        lost = lengths.detach().amax(1) <= rounding(scores) * spread.detach().abs().sum(1)
        exact = self.scorer.group.matrices.to(scores.dtype).to(scores.device)
        elements: torch.Tensor = torch.where(lost[:, None, None], exact[scores.argmax(1)], found).unsqueeze(1)
        return elements

    def _nearest(self, vectors: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the orthogonal matrices nearest to harmonics, `(B, 1 or 2, 2)` to `(B, 2, 2)`."""
        some = lengths.unsqueeze(-1) > 0
        cosine, sine = (vectors / torch.where(some, lengths.unsqueeze(-1), 1)).unbind(-1)
        turns: torch.Tensor = torch.stack([cosine, -sine, sine, cosine], -1).view(*cosine.shape, 2, 2)
        if not self.group.mirrors:
            only: torch.Tensor = turns[:, 0]
            return only
        # A mirror comes first, so it changes the sign of the first column.
        both = turns * turns.new_tensor([[1.0, 1.0], [-1.0, 1.0]])[:, None]
        best: torch.Tensor = both[torch.arange(both.shape[0], device=both.device), lengths.argmax(1)]
        choice = (lengths.softmax(1)[..., None, None] * both.detach()).sum(1)
        return best + (choice - choice.detach())

    @property
    def cost(self) -> str:
        """That of the scorer."""
        return self.scorer.cost

    def to_dict(self) -> dict[str, Any]:
        """Return the number of turns, and the scorer's description."""
        return {**super().to_dict(), "turns": self.turns, "scorer": self.scorer.to_dict()}

    @classmethod
    def from_dict(
        cls, content: Mapping[str, Any], group: Any, shape: tuple[int, ...] | None = None
    ) -> CircularHarmonic:
        """Return one with a new scorer; a description without one is that of the default.

        Raises:
            ConfigurationError: If the scorer is not stored, or for another group.
        """
        if not isinstance(group, (SO2, O2)):
            raise ConfigurationError(
                f"The default canonicalizer of {group!r} is not known: pass canonicalizer=, such as VectorNeurons"
            )
        turns = content.get("turns", _TURNS)
        check_count("turns", turns, "number of turns")
        kind = ImageGroup.dihedral if group.mirrors else ImageGroup.rotations
        scorer = read_canonicalizer(content.get("scorer", {TYPE: GroupConvolution.kind}), kind(turns), shape)
        return cls(group, scorer)  # type: ignore[arg-type]  # the constructor checks it

    def extra_repr(self) -> str:
        """Return the group."""
        return repr(self.group)
