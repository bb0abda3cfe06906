"""The base of the configurations of all symmetrised models that read images."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from hf_equi.canonicalization import LearnedMember
from hf_equi.canonicalization.learned_member import RELAXATIONS
from hf_equi.canonicalization.theta import plain_theta
from hf_equi.checks import check_choice, check_count, check_share, check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.vision.image_actions import IMAGE_GROUPS

__all__ = ["CANONICAL_SETTINGS", "EquiPixelConfig"]

CANONICAL_SETTINGS = ("theta", "prior_weight", "temperature", "relaxation")
"""The settings of `"canonical"` and `"canonical_lambda"` besides the canonicalizer."""


@strict
class EquiPixelConfig(EquiConfig):
    r"""A base config, a group of the image plane and a method.

    Args:
        padding (`str`, *optional*, defaults to `"reflect"`):
            How images continue beyond their edges if a group resamples them: `"reflect"` or `"circular"`.
        lambda_units (`int`, *optional*, defaults to 100):
            The number of units in the hidden layers of the network of `"lambda"`, `"canonical_lambda"` and
            `"attention"`.
        lambda_dropout (`float`, *optional*, defaults to 0.0):
            The dropout of that network; 0.5 in the authors' code.
        canonicalizer_settings (`dict`, *optional*):
            The canonicalizer of `"canonical"` and `"canonical_lambda"`, as its `to_dict` gives it; by default a
            `hf_equi.canonicalization.GroupConvolution`, or a `CircularHarmonic` for `SO2` and `O2`.
        theta (`list`, *optional*):
            Θ of `"canonical_lambda"`, the elements by which the canonical image is moved: names or indices, or for a
            continuous group angles such as `"90°"` and matrices.
        task_weight (`float`, *optional*, defaults to 1.0):
            The weight of the loss for labels when a model with a canonicalizer trains. With 0 only the canonicalizer
            trains: the base does not run, and no labels are needed. The loss of an evaluation without labels is then
            that of the canonicalizer.
        prior_weight (`float`, *optional*, defaults to 100.0):
            The weight of the prior in that loss: the cross-entropy of the canonicalizer's scores to the identity, or
            the squared distance of its element to the identity for `SO2` and `O2`. It is 100 in arXiv 2310.01647.
            A model refuses 0 beside `task_weight=0`, unless its canonicalizer has a loss of its own.
        temperature (`float`, *optional*, defaults to 1.0):
            The temperature of the softmax that stands in for the choice of a member in the backward pass.
        relaxation (`str`, *optional*, defaults to `"straight_through"`):
            How gradients pass the choice: `"straight_through"`, or `"gumbel"` with noise on scores that are trained.
        base_config, group, method, orbit_chunk_size, hf_equi_version, format_version, stores_base:
            As in `EquiConfig`; the group as the `to_dict` of an `ImageGroup`, `SO2` or `O2` gives it.
        base_name, base_revision, adapter:
            As in `EquiConfig`.

    Raises:
        ConfigurationError: As in `EquiConfig`, and for an unknown padding or relaxation, a dropout outside 0 to 1,
            less than one unit, a temperature that is not above 0, a negative weight, or a Θ that is missing, empty,
            repeats an element or is not in the group.
    """

    group_class: ClassVar[Any] = IMAGE_GROUPS
    keys_to_ignore_at_inference: ClassVar[list[str]] = [
        "loss",  # which a Trainer without labels takes for a prediction
        "chosen_element",
        "margin",
        "group_weights",
        "image_features",
        "prior_loss",
        "canonical_element",
        "identity_share",
    ]

    padding: str = "reflect"
    lambda_units: int = 100
    lambda_dropout: float = 0.0
    canonicalizer_settings: dict[str, Any] | None = None
    theta: Any = None
    task_weight: float = 1.0
    prior_weight: float = 100.0
    temperature: float = 1.0
    relaxation: str = "straight_through"

    def __post_init__(self, **kwargs: Any) -> None:
        self.theta = plain_theta(self.theta)
        super().__post_init__(**kwargs)

    @property
    def canonical_settings(self) -> dict[str, Any]:
        """The settings from which methods with a canonicalizer are made."""
        return {
            "canonicalizer_settings": self.canonicalizer_settings,
            **{name: getattr(self, name) for name in CANONICAL_SETTINGS},
        }

    def _check(self) -> None:
        super()._check()
        check_weight("task_weight", self.task_weight)
        check_weight("prior_weight", self.prior_weight)
        check_share("lambda_dropout", self.lambda_dropout)
        check_count("lambda_units", self.lambda_units, "size")
        check_choice("padding", self.padding, ("reflect", "circular"))
        if self.group is None:
            return
        group, select = self.read_group(), self.create_method().select
        if isinstance(group, ContinuousGroup):
            self._check_continuous(group)
        if isinstance(select, LearnedMember):
            select.theta_in(group)

    def _check_continuous(self, group: ContinuousGroup) -> None:
        """Refuse settings that have no meaning for a group whose elements cannot be listed.

        Raises:
            ConfigurationError: For another method than "canonical", and settings of scores.
        """
        if not isinstance(self.create_method().select, LearnedMember):
            raise ConfigurationError(
                f"method={self.method!r} is for finite groups, but {group!r} has infinitely many elements: choose a "
                'finite subgroup, ImageGroup.rotations(8), or method="canonical" or "canonical_lambda"'
            )
        if self.temperature != 1.0 or self.relaxation != RELAXATIONS[0]:
            raise ConfigurationError(
                "temperature= and relaxation= say how the choice of an element by scores passes gradients, but of "
                f"{group!r} the element itself is computed: leave them out"
            )
