"""Whether a canonicalizer fits a model: its group, and whether it follows its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hf_equi.actions import Action, PlaneAction
from hf_equi.canonicalization.base import Canonicalizer
from hf_equi.canonicalization.finite import FiniteCanonicalizer
from hf_equi.canonicalization.fixed_pose import FixedPose
from hf_equi.canonicalization.fixed_rule import FixedRule
from hf_equi.canonicalization.learned_member import LearnedMember
from hf_equi.errors import ConfigurationError, EquivarianceError
from hf_equi.groups import ContinuousGroup, ImageGroup
from hf_equi.testing import assert_canonicalizer
from hf_equi.testing.tolerances import tolerance_of

__all__ = ["check_apart", "check_follows", "check_settings", "fitted"]

_TRIED = 2
"""The random inputs on which a canonicalizer is checked."""


def fitted(canonicalizer: Any, action: Action, shape: tuple[int, ...]) -> Canonicalizer:
    """Return the canonicalizer for a model; a function becomes a `FixedRule`, or a `FixedPose` of a continuous group.

    Args:
        canonicalizer: A `Canonicalizer`, or a rule: a function from inputs to elements.
        action: The group's action on the model's inputs.
        shape: The shape of one input.

    Raises:
        ConfigurationError: For a canonicalizer of another group or of other inputs; for a network that is not one, or
            a class; for one that does not follow its inputs. The message names the element, and by how much it fails.
    """
    if isinstance(canonicalizer, type):
        raise ConfigurationError(
            f"canonicalizer={canonicalizer.__name__} is a class: make one, such as {canonicalizer.__name__}(group)"
        )
    if isinstance(canonicalizer, nn.Module) and not isinstance(canonicalizer, Canonicalizer):
        raise ConfigurationError(
            f"canonicalizer= is a {type(canonicalizer).__name__}, which does not say how its output moves with its "
            "input: pass hf_equi.canonicalization.OrbitScorer(network, group), which is equivariant for any network"
        )
    group = action.group
    rule = FixedPose if isinstance(group, ContinuousGroup) else FixedRule
    found = canonicalizer if isinstance(canonicalizer, Canonicalizer) else rule(canonicalizer, group)
    if (own := getattr(found, "group", None)) != group:
        raise ConfigurationError(
            f"The canonicalizer is of {own!r}, but the model is of {group!r}: make it of the same group"
        )
    found.check_inputs(shape)
    if not torch.empty(0).is_meta:  # while a checkpoint is loaded, nothing has values
        check_follows(found, action, shape)
    return found


def check_settings(canonicalizer: Canonicalizer | None, settings: Mapping[str, Any]) -> None:
    """Refuse settings of training that have no effect on a canonicalizer, or leave it no loss.

    Args:
        canonicalizer: The canonicalizer; `None` for a default one, which is trained by the prior.
        settings: The settings by name. A setting that is missing has its default.

    Raises:
        ConfigurationError: For a canonicalizer that is not trained: if `temperature`, `relaxation` or `prior_weight`
            is not the default, or `task_weight` is 0. For any other: if both weights are 0 and it has no loss of its
            own.
    """
    usual = LearnedMember()
    task, prior = settings.get("task_weight", 1.0), settings.get("prior_weight", usual.prior_weight)
    if canonicalizer is None or canonicalizer.learns:
        if not task and not prior and not (canonicalizer is not None and canonicalizer.own_loss):
            raise ConfigurationError(
                "task_weight=0 and prior_weight=0 leave no loss to train by: raise one of them. A canonicalizer with "
                "a loss of its own, OrbitScorer(..., size=...), needs neither."
            )
        return
    name = type(canonicalizer).__name__
    of_training = ("prior_weight", "relaxation", "temperature")
    if unread := [one for one in of_training if settings.get(one, getattr(usual, one)) != getattr(usual, one)]:
        raise ConfigurationError(
            f"{', '.join(unread)}: a {name} is not trained, so these settings have no effect on it: leave them out"
        )
    if not task:
        raise ConfigurationError(
            f"task_weight=0 trains the canonicalizer alone, but a {name} is not trained: leave task_weight out"
        )


def check_apart(canonicalizer: nn.Module, base: nn.Module | None) -> None:
    """Refuse a canonicalizer that holds the base or a part of it: one would freeze or train the other.

    Args:
        canonicalizer: The canonicalizer.
        base: The base; `None` if it is made later.

    Raises:
        ConfigurationError: For a weight that both hold. A checkpoint could not store it twice either.
    """
    held = set() if base is None else {id(weight) for weight in base.parameters()}
    shared = [name for name, weight in canonicalizer.named_parameters() if id(weight) in held]
    if shared:
        raise ConfigurationError(
            f"canonicalizer= holds weights of the base itself ({shared[0]}), so one would freeze or train the other, "
            "and a checkpoint cannot store them twice. To ask the base for its energy, leave model= out: "
            "ModelEnergy(group). Otherwise give it a copy, copy.deepcopy(...), made before the ModelEnergy froze it."
        )


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
    noise = torch.Generator("cpu").manual_seed(0)
    x = torch.randn(_TRIED, *shape, generator=noise, device="cpu").to(weight.device, weight.dtype)
    mode, finite = canonicalizer.training, isinstance(canonicalizer, FiniteCanonicalizer)
    canonicalizer.eval()
    try:
        asked, tolerance = getattr(canonicalizer, "rule", canonicalizer), None
        with torch.no_grad():  # a rule is refused here if models could not read what it returns
            found: Any = getattr(canonicalizer, "scores" if finite else "poses", canonicalizer)(x)
        if finite and asked is canonicalizer and isinstance(found, torch.Tensor) and found.is_floating_point():
            tolerance = tolerance_of(found.dtype) * max(1.0, float(found.abs().max()))
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
