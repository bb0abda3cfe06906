"""The base of the configurations of all symmetrised models that read images."""

from __future__ import annotations

from typing import Any, ClassVar

from huggingface_hub.dataclasses import strict

from hf_equi.canonicalization import LearnedMember
from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.groups import ContinuousGroup
from hf_equi.models.configuration_canonicalized import EquiCanonicalizedConfig
from hf_equi.models.vision.image_actions import IMAGE_GROUPS

__all__ = ["EquiPixelConfig"]


@strict
class EquiPixelConfig(EquiCanonicalizedConfig):
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

    def _check(self) -> None:
        super()._check()
        check_choice("padding", self.padding, ("reflect", "circular"))

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
        super()._check_continuous(group)
