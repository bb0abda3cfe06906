"""The base of all wrapped models that read images: the group on pixels, and what selects a member by them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.actions import PixelAction, PlaneAction
from hf_equi.bases.orbit_reader import check_batch
from hf_equi.bases.weight_dtype import weight_dtype
from hf_equi.canonicalization import Canonicalizer, LearnedMember
from hf_equi.canonicalization.base import DTYPE
from hf_equi.canonicalization.fitting import check_apart, check_follows, check_settings, fitted
from hf_equi.canonicalization.learned_member import PENALTY
from hf_equi.checks import check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.vision.checkpoints import VisionCheckpointMixin
from hf_equi.models.vision.configuration_equi_pixels import CANONICAL_SETTINGS
from hf_equi.models.vision.image_actions import image_action
from hf_equi.models.vision.probing import image_shape
from hf_equi.symmetrizers import Part, Select, Selection
from hf_equi.symmetrizers.outside_loss import refuse_outside_loss

__all__ = ["EquiPixelModel"]


class EquiPixelModel(VisionCheckpointMixin, EquiPreTrainedModel):  # type: ignore[misc]
    """A model of images made equivariant to a group of the image plane, whatever it says of an image."""

    main_input_name = "pixel_values"
    own_arguments: ClassVar[tuple[str, ...]] = ("canonicalizer",)

    def __init__(self, config: Any, base: PreTrainedModel | None = None, canonicalizer: Any = None) -> None:
        network = None
        if canonicalizer is not None and config.has_group:  # without a group, the base class says what to do
            network = self._fitted(config, canonicalizer)
            check_apart(network, base)
        super().__init__(config, base, network)
        self._check_settings()
        self._note_canonicalizer()

    @classmethod
    def _fitted(cls, config: Any, canonicalizer: Any) -> Canonicalizer:
        """Return the canonicalizer for a config.

        Raises:
            ConfigurationError: If it does not fit, or the method does not use one.
        """
        if not isinstance(config.create_method().select, LearnedMember):
            raise ConfigurationError(
                f"canonicalizer=: the method {config.method!r} does not use one. It belongs to 'canonical' "
                "and 'canonical_lambda'."
            )
        action = image_action(config.read_group(), config.padding)
        found = fitted(canonicalizer, action, image_shape(config.base_config))
        found.check_base(cls, config.base_config)
        return found

    def _check_settings(self) -> None:
        """Refuse settings of training that have no effect on the canonicalizer, or leave it no loss.

        Raises:
            ConfigurationError: As `check_settings`.
        """
        if isinstance(held := self._modules.get(Select.network_name), Canonicalizer):
            check_settings(held, {name: getattr(self.config, name) for name in ("task_weight", *CANONICAL_SETTINGS)})

    def _note_canonicalizer(self) -> None:
        """Describe the canonicalizer in the config."""
        network = self._modules.get(Select.network_name)
        if isinstance(network, Canonicalizer):
            usual = super().network_dtype(self.method.select)
            dtype = weight_dtype(network, usual)
            own = {} if dtype == usual else {DTYPE: str(dtype).removeprefix("torch.")}
            self.config.canonicalizer_settings = {**network.to_dict(), **own}

    def network_dtype(self, part: Part) -> torch.dtype:
        """Return the dtype of a new network of the method: that of the stored canonicalizer, or float32 at least.

        Raises:
            ConfigurationError: If the config stores something else.
        """
        stored = (self.config.canonicalizer_settings or {}).get(DTYPE) if isinstance(part, LearnedMember) else None
        dtype = super().network_dtype(part) if stored is None else getattr(torch, str(stored), None)
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ConfigurationError(f"canonicalizer_settings: {DTYPE}={stored!r} is not a dtype of weights")
        return dtype

    def settle(self) -> None:
        """Do what has to wait until loaded weights have their values; check that the canonicalizer follows images.

        Raises:
            ConfigurationError: If it does not.
        """
        super().settle()
        network = self._modules.get(Select.network_name)
        if isinstance(network, Canonicalizer):
            check_follows(network, self.action, self.input_shape())

    def _update_config(self) -> None:
        super()._update_config()
        self._note_canonicalizer()

    def train(self, mode: bool = True) -> Any:
        """Set the mode. Frozen parts stay in eval mode, so that no dropout or batch statistic changes them."""
        super().train(mode)
        if mode:
            _evaluate_frozen(self.base)
            if (network := self._modules.get(Select.network_name)) is not None:
                _evaluate_frozen(network)
        return self

    def input_shape(self) -> tuple[int, ...]:
        """The number of channels, height and width of one image."""
        return image_shape(self.base.config)

    def make_action(self, group: Any) -> PixelAction | PlaneAction:
        """Make the group's action on pixels."""
        return image_action(group, self.config.padding)

    @property
    def group(self) -> Any:
        """The group that the model is equivariant to: an `ImageGroup`, `SO2` or `O2`."""
        return self.action.group

    @property
    def _prior_only(self) -> bool:
        """Whether only the canonicalizer trains, which needs neither the base nor labels."""
        return self.training and isinstance(self.method.select, LearnedMember) and self._task_weight == 0

    @property
    def _task_weight(self) -> float:
        """The weight of the labels' loss, which may have been changed after the config was checked."""
        weight: float = self.config.task_weight
        check_weight("task_weight", weight)
        return weight

    def _select_by_prior(self, pixel_values: Any) -> Selection:
        """Select the members of images that are not read."""
        if pixel_values is None:
            raise ConfigurationError("The canonicalizer is trained by images: pass pixel_values")
        check_batch(pixel_values, "pixel_values", "images")
        selection = self.select_members(self.action, pixel_values)
        if selection.penalty is None and torch.is_grad_enabled():
            self._check_settings()  # the weights may have been changed
            raise ConfigurationError(
                "task_weight=0 trains the canonicalizer alone, but no part of it is trained: unfreeze its weights, or "
                "train the base with task_weight=1"
            )
        return selection

    def penalised(
        self, loss: torch.Tensor | None, selection: Selection | None, share: torch.Tensor | float = 1.0
    ) -> torch.Tensor | None:
        """Return the task's loss; when a canonicalizer trains, weighted, with the prior added.

        With `task_weight=0` and without labels it is that of the canonicalizer alone, in training and in evaluation.

        Args:
            loss: `()` the task's loss; `None` without labels, and where only the prior counts.
            selection: The selection of the members.
            share: As in the base class.

        Raises:
            ConfigurationError: As in the base class; without a loss that `task_weight` would weigh.
        """
        if loss is None and self._prior_only and selection is not None and selection.penalty is not None:
            return share * selection.penalty.mean()
        if loss is None and not self.training and self.config.task_weight == 0 and selection is not None:
            said = selection.said.get(PENALTY)
            return None if said is None else said.mean()
        if self.training and isinstance(self.method.select, LearnedMember):
            if loss is not None:
                loss = self._task_weight * loss
            elif self._task_weight not in (0, 1) and torch.is_grad_enabled():
                refuse_outside_loss(f"config.task_weight={self._task_weight} weighs that of the labels")
        return super().penalised(loss, selection, share)

    @staticmethod
    def _said(result: Any, selection: Selection | None) -> Any:
        """Return an output with what the selection says, as far as the output has entries for it."""
        said = {} if selection is None else dict(selection.said)
        said |= {name: said[name].mean() for name in ("prior_loss", "identity_share") if name in said}
        entries = {field.name for field in fields(result)}
        return replace(result, **{name: value for name, value in said.items() if name in entries})

    @property
    def base_forwards(self) -> int:
        """The most images that the base reads for one image, if a canonicalizer names one pose."""
        select = self.method.select
        if isinstance(select, LearnedMember):
            return len(select.theta_in(self.group)) + int(select.network.base_forwards)
        return 1 if self.method.selects_one else int(self.group.order)


def _evaluate_frozen(module: nn.Module) -> None:
    """Put the largest parts of a module that have weights, none of them trained, in eval mode."""
    trained = [parameter.requires_grad for parameter in module.parameters()]
    if trained and not any(trained):
        module.eval()
    elif not all(trained):
        for child in module.children():
            _evaluate_frozen(child)
