"""The parts of methods that select members of a continuous orbit without training: a frame of it, or a drawn one."""

from __future__ import annotations

from typing import Any

import torch

from hf_equi.canonicalization.about_axis import AboutAxis
from hf_equi.canonicalization.centre import Centre
from hf_equi.canonicalization.composed import LINEAR, Composed
from hf_equi.canonicalization.continuous import ContinuousCanonicalizer
from hf_equi.canonicalization.principal_frames import PrincipalFrames
from hf_equi.groups import SO2, SO2Z, ContinuousGroup
from hf_equi.groups._motions import homogeneous
from hf_equi.symmetrizers import OneMember, Select, Selection, WholeGroup
from hf_equi.symmetrizers.select import Asked

__all__ = ["DrawnPose", "FrameMembers", "frames_of"]


class FrameMembers(Select):
    r"""A frame of the orbit: $h^{-1}x$ for the principal frames h of a cloud; of a finite group all members.

    $$ \mathcal{F}(gx) = g \mathcal{F}(x) \quad\Rightarrow\quad \{h^{-1} gx\}_{h \in \mathcal{F}(gx)} =
    \{h^{-1} x\}_{h \in \mathcal{F}(x)} $$

    So a mean over a frame, or a choice from it, is as equivariant as one over an orbit.

    References:
        arXiv 2110.03336, section 2.

    Example:
        >>> from hf_equi.actions import PointAction
        >>> from hf_equi.groups import SO3
        >>> FrameMembers()(PointAction(SO3()), torch.randn(2, 5, 3)).elements.shape
        torch.Size([2, 4, 3, 3])
    """

    def members(self, asked: Asked) -> Selection:
        """Select the inverses of the principal frames of each cloud, or all elements of a finite group.

        Raises:
            ConfigurationError: As `PrincipalFrames`.
        """
        group = asked.action.group
        if not isinstance(group, ContinuousGroup):
            return WholeGroup()(asked.action, asked.x)
        elements, log_weights = frames_of(group).poses(asked.x, asked.mask)
        return Selection(group.inverse(elements), log_weights=log_weights)


class DrawnPose(OneMember):
    """One member, by a uniform element; the centre of a cloud goes to the origin first if the group translates.

    So its law is that of any other member of the orbit: it is invariant in law.

    Example:
        >>> from hf_equi.actions import PointAction
        >>> from hf_equi.groups import SE3
        >>> action, x = PointAction(SE3()), torch.randn(2, 5, 3)
        >>> moved = action.apply(DrawnPose()(action, x).elements[:, 0], x)
        >>> bool((moved.mean(1).abs() < 1e-6).all())
        True
    """

    def element(self, asked: Asked) -> torch.Tensor:
        """Draw one element for each sample, `(B,)` or `(B, n, n)`."""
        group, drawn = asked.action.group, asked.draws.elements(asked.action, asked.x, asked.mask)
        if not (isinstance(group, ContinuousGroup) and group.translates):
            return drawn
        centre = Centre()(asked.x, asked.mask)
        turn, _ = group.parts(drawn)
        return homogeneous(turn, -(turn @ centre.to(turn).unsqueeze(-1)).squeeze(-1))


def frames_of(group: ContinuousGroup) -> ContinuousCanonicalizer:
    """Return what finds the principal frames of clouds in a group of space or of the plane.

    Args:
        group: The group. If it translates, frames are those of the centred cloud; about z, those of the cloud as seen
            from above.

    Example:
        >>> from hf_equi.groups import SE3
        >>> frames_of(SE3()).poses(torch.randn(2, 5, 3))[0].shape
        torch.Size([2, 4, 4, 4])
    """
    if isinstance(group, SO2Z):
        return AboutAxis(PrincipalFrames(SO2()))
    if group.translates:
        linear: Any = LINEAR[type(group)]()
        return Composed(group, PrincipalFrames(linear))
    return PrincipalFrames(group)
