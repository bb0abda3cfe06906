"""What every wrapped model does with its base: hold it, share its config, pass on its embeddings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.checkpoints import embedding_rows

__all__ = ["WrapperMixin"]


class WrapperMixin:
    """The base inside a `PreTrainedModel`. Comes before it in the bases of a model."""

    auto_class: ClassVar[Any]
    """The Auto class of the bases."""
    action_class: ClassVar[type]
    """How groups act on the tokens of such models."""
    base: PreTrainedModel
    config: Any
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def _wrap(self, base: PreTrainedModel | None, check: Callable[[PreTrainedModel], None]) -> None:
        """Hold a base, or a new one from the config, if `check` does not refuse it."""
        self._owns_weights = base is None
        if base is None:
            base = self.auto_class.from_config(self.config.base_config)
        check(base)
        self.base = base
        # One config object, so that edits to either model's are seen by both.
        self.config.base_config = base.config
        self._share_quantization(base)
        self._is_stateful = base._is_stateful
        if base.generation_config is not None:
            self.generation_config = copy.deepcopy(base.generation_config)
        self._tokenizer: Any = None
        self._loaded_base = None
        self._action: Any = None

    def _share_quantization(self, base: PreTrainedModel) -> None:
        """Let saving and loading know that the weights are quantised: they look at the outer config and model."""
        if getattr(base.config, "quantization_config", None) is not None:
            self.config.quantization_config = base.config.quantization_config
        if getattr(base, "hf_quantizer", None) is not None:
            self.hf_quantizer = base.hf_quantizer
            self.is_quantized = True

    @property
    def group(self) -> DemographicGroup:
        """The group that the model is equivariant to."""
        group: DemographicGroup = self.action.group
        return group

    @property
    def action(self) -> Any:
        """How the group acts on tokens: rebuilt from the config, never from stored tables."""
        if self._action is None:
            self._action = self._stored_action(DemographicGroup.from_dict(self.config.group))
        # Offloaded weights are on no device while they are not needed.
        device = self._weights_device
        if device.type != "meta" and self._action.device != device:
            self._action = self._action.to(device)
        return self._action

    def resolve(self, group: Any) -> Any:
        """The action of a group for one call; of the model's own for `None`.

        Raises:
            ActionError: If no tokenizer knows the group's words.
            ConfigurationError: If the model has no tokenizer, or its method no variant for the group.
        """
        if isinstance(group, self.action_class):
            return group
        if group is not None and not isinstance(group, DemographicGroup):
            raise ConfigurationError(
                f"group={group!r} is no DemographicGroup: make one, or take DemographicGroup.preset"
            )
        if group is None or group == self.group:
            return self.action
        if group.relaxed and not self.config.create_method().relaxable:
            raise ConfigurationError(
                f"The method {self.config.method!r} has no relaxed variant for the group {group!r}"
            )
        return self._new_action(group)

    def _stored_action(self, group: DemographicGroup) -> Any:
        """The action of the config's token maps."""
        raise NotImplementedError

    def _new_action(self, group: DemographicGroup) -> Any:
        """The action of another group, by the model's tokenizers."""
        raise NotImplementedError

    @property
    def _weights_device(self) -> torch.device:
        """Where the weights are; replicas of `DataParallel` have no parameters to ask."""
        weight: Any = self.get_input_embeddings().weight
        device: torch.device = weight.device
        return device

    def get_input_embeddings(self) -> nn.Module:
        """The base's."""
        return self.base.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Set the base's."""
        self.base.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        """The base's."""
        head: nn.Module | None = self.base.get_output_embeddings()
        return head

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Set the base's."""
        self.base.set_output_embeddings(new_embeddings)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Refused, unless the size stays: the stored token map belongs to this vocabulary.

        Raises:
            ConfigurationError: For another size.
        """
        size = new_num_tokens or embedding_rows(self.base)
        if size != self.config.vocab_size or args or kwargs.get("pad_to_multiple_of"):
            raise ConfigurationError(
                f"The token permutation was made for {self.config.vocab_size} tokens, not for another size. "
                "Resize the base, then wrap it again: base = lm.unwrap(), base.resize_token_embeddings(n), "
                "symmetrize(base, group)"
            )
        if size == embedding_rows(self.base):
            return self.get_input_embeddings()  # a base with two vocabularies refuses to be asked
        return self.base.resize_token_embeddings(new_num_tokens, *args, **kwargs)

    def init_weights(self) -> None:
        """Initialise and tie the weights of a new base; one that was passed in stays to the bit as it is."""
        if self._owns_weights:
            super().init_weights()  # type: ignore[misc]  # from PreTrainedModel

    def _init_weights(self, module: nn.Module) -> None:
        """Weights that a checkpoint lacks are initialised as the base initialises them."""
        self.base._init_weights(module)
