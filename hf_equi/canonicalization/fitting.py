"""Whether a canonicalizer fits a model: its group, and whether it follows its inputs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from hf_equi.actions import Action, PlaneAction
from hf_equi.canonicalization.base import Canonicalizer
from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.canonicalization.fixed_pose import FixedPose
from hf_equi.canonicalization.fixed_rule import FixedRule
from hf_equi.errors import ConfigurationError, EquivarianceError
from hf_equi.groups import ContinuousGroup, ImageGroup
from hf_equi.testing import assert_canonicalizer
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["check_follows", "fitted"]

_TRIED = 2
"""The random inputs on which a canonicalizer is checked."""


def fitted(canonicalizer: Any, action: Action, shape: tuple[int, ...]) -> Canonicalizer:
    """Return the canonicalizer for a model; a function becomes a `FixedRule`, or a `FixedPose` of a continuous group.

    Args:
        canonicalizer: A `Canonicalizer`, or a rule: a function from inputs to elements.
        action: The group's action on the model's inputs.
        shape: The shape of one input.

    Raises:
        ConfigurationError: For a canonicalizer of another group, a network that is not a canonicalizer, or one that
            does not follow its inputs. The message names the element, and by how much it fails.
    """
    if isinstance(canonicalizer, nn.Module) and not isinstance(canonicalizer, Canonicalizer):
        raise ConfigurationError(
            f"canonicalizer= is a {type(canonicalizer).__name__}, which does not say how its output moves with its "
            "input: pass hf_equi.canonicalization.OrbitScorer(network, group), which is equivariant for any network"
        )
    group = action.group
    rule = FixedPose if isinstance(group, ContinuousGroup) else FixedRule
    found = canonicalizer if isinstance(canonicalizer, Canonicalizer) else rule(canonicalizer, group)
    if found.group != group:
        raise ConfigurationError(
            f"The canonicalizer is of {found.group!r}, but the model is of {group!r}: make it of the same group"
        )
    if not torch.empty(0).is_meta:  # while a checkpoint is loaded, nothing has values
        check_follows(found, action, shape)
    return found


def check_follows(canonicalizer: Canonicalizer, action: Action, shape: tuple[int, ...]) -> None:
    """Refuse a canonicalizer that does not follow its inputs, as far as elements move them exactly.

    Args:
        canonicalizer: The canonicalizer; one that follows by construction is not run.
        action: The group's action on the model's inputs.
        shape: The shape of one input.

    Raises:
        ConfigurationError: For such a canonicalizer. Scores may differ by the tolerance of their dtype, in proportion
            to the largest one.
    """
    if canonicalizer.equivariant or any(weight.is_meta for weight in canonicalizer.parameters()):  # kept elsewhere
        return
    weight = next(canonicalizer.parameters(), torch.empty(0))
    x = torch.randn(_TRIED, *shape, generator=torch.Generator().manual_seed(0)).to(weight.device, weight.dtype)
    mode = canonicalizer.training
    canonicalizer.eval()
    try:
        asked, tolerance = getattr(canonicalizer, "rule", canonicalizer), None
        if isinstance(canonicalizer, FiniteCanonicalizer) and asked is canonicalizer:
            with torch.no_grad():
                scores: Any = canonicalizer.scores(x)
            if isinstance(scores, torch.Tensor) and scores.is_floating_point():
                tolerance = tolerance_of(scores.dtype) * max(1.0, float(scores.abs().max()))
        assert_canonicalizer(asked, x, action, _exact(action), tolerance=tolerance)
    except EquivarianceError as error:
        raise ConfigurationError(f"canonicalizer= does not fit. {error}") from error
    finally:
        canonicalizer.train(mode)


def _exact(action: Action) -> Any:
    """Return the elements that move inputs exactly; `None` for those that the check chooses."""
    if isinstance(action, PlaneAction):
        turns = ImageGroup.dihedral(4) if action.group.mirrors else ImageGroup.rotations(4)
        return list(turns.matrices)
    motions = getattr(action.group, "motions", None)
    return None if motions is None else [g for g in range(action.group.order) if not motions[g][-1]]
