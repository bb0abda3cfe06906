"""Models that select members by a canonicalizer: how it is held, described, trained and checked."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.actions import Action
from hf_equi.bases.orbit_reader import check_batch
from hf_equi.bases.weight_dtype import weight_dtype
from hf_equi.canonicalization import Canonicalizer, LearnedMember
from hf_equi.canonicalization.base import DTYPE
from hf_equi.canonicalization.fitting import check_apart, check_follows, check_settings, fitted
from hf_equi.canonicalization.learned_member import PENALTY
from hf_equi.checks import check_weight
from hf_equi.errors import ConfigurationError
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.configuration_canonicalized import CANONICAL_SETTINGS
from hf_equi.symmetrizers import Part, Select, Selection
from hf_equi.symmetrizers.outside_loss import refuse_outside_loss

__all__ = ["CanonicalizedModel"]


class CanonicalizedModel(EquiPreTrainedModel):
    """A model whose methods may select members by a canonicalizer.

    The model class of a task defines `read_by_canonicalizers` besides what `EquiPreTrainedModel` needs.

    Args:
        config: The model's configuration, an `EquiCanonicalizedConfig`.
        base: The base model, shared and not copied; by default a new one from the configuration.
        canonicalizer: The canonicalizer, held and not copied, or a rule; by default a new one as the configuration
            describes it.

    Raises:
        ConfigurationError: As in `EquiPreTrainedModel`; for a canonicalizer that does not fit.
    """

    own_arguments: ClassVar[tuple[str, ...]] = ("canonicalizer",)
    what_is_read: ClassVar[str] = "samples"
    """A description of the inputs, for messages."""

    def __init__(self, config: Any, base: PreTrainedModel | None = None, canonicalizer: Any = None) -> None:
        network = None
        if canonicalizer is not None and config.has_group:  # without a group, the base class says what to do
            network = self._fitted(config, canonicalizer)
            check_apart(network, base)
        super().__init__(config, base, network)
        self._check_settings()
        self._note_canonicalizer()

    @classmethod
    def read_by_canonicalizers(cls, config: Any) -> tuple[Action, tuple[int, ...]]:
        """Return the group's action on what canonicalizers read, and the shape of one such input.

        Args:
            config: The config of a model.
        """
        raise NotImplementedError(f"{cls.__name__} must define read_by_canonicalizers(config)")

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
        found = fitted(canonicalizer, *cls.read_by_canonicalizers(config))
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
        """Do what has to wait until loaded weights have their values; check that the canonicalizer follows inputs.

        Raises:
            ConfigurationError: If it does not.
        """
        super().settle()
        network = self._modules.get(Select.network_name)
        if isinstance(network, Canonicalizer):
            check_follows(network, *self.read_by_canonicalizers(self.config))

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

    def _select_by_prior(self, given: Any, mask: torch.Tensor | None = None) -> Selection:
        """Select the members of inputs that are not read."""
        name, what = self.main_input_name, self.what_is_read
        if given is None:
            raise ConfigurationError(f"The canonicalizer is trained by {what}: pass {name}")
        check_batch(given, name, what)
        selection = self.select_members(self.action, given, mask)
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

    def _check_unchanged(self) -> None:
        """Refuse to write a checkpoint whose config was edited into that of another model."""
        parts = self.config.create_method().parts
        if any(part.has_network != hasattr(self, part.network_name) for part in parts):
            raise ConfigurationError(
                f"config.method={self.config.method!r} was set after the model was made, so its weights belong to "
                "another method. Make a new model: symmetrize(model.unwrap(), group, method)."
            )
        if self.group != self.config.read_group():
            raise ConfigurationError(
                "config.group was set after the model was made, but the model still uses the group it was made with. "
                "Make a new model: symmetrize(model.unwrap(), group, method)."
            )


def _evaluate_frozen(module: nn.Module) -> None:
    """Put the largest parts of a module that have weights, none of them trained, in eval mode."""
    trained = [parameter.requires_grad for parameter in module.parameters()]
    if trained and not any(trained):
        module.eval()
    elif not all(trained):
        for child in module.children():
            _evaluate_frozen(child)
