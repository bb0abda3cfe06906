"""What every wrapped model does with its base: hold it, share its config, pass on its embeddings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar

from torch import nn
from transformers import PreTrainedModel

from hf_equi.groups import FiniteGroup

__all__ = ["WrapperMixin"]


class WrapperMixin:
    """The base inside a `PreTrainedModel`. Comes before it in the bases of a model."""

    auto_class: ClassVar[Any]
    """The Auto class of the bases."""
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
            self.config.name_classes()
            base = self.auto_class.from_config(self.config.base_config)
        check(base)
        self.base = base
        # One config object, so that edits to either model's are seen by both.
        self.config.base_config = base.config
        if not self._owns_weights:
            self.config.follow_base()
        self._share_quantization(base)
        self._is_stateful = base._is_stateful
        if base.can_generate() and base.generation_config is not None:
            self.generation_config = copy.deepcopy(base.generation_config)
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
    def group(self) -> FiniteGroup:
        """The group that the model is equivariant to."""
        group: FiniteGroup = self.action.group
        return group

    @property
    def action(self) -> Any:
        """How the group acts on what the model reads: rebuilt from the config, never from stored tables."""
        if self._action is None:
            self._action = self._stored_action(self.config.read_group())
        return self._action

    def _stored_action(self, group: Any) -> Any:
        """The action of the config's group."""
        raise NotImplementedError

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

    def init_weights(self) -> None:
        """Initialise and tie the weights of a new base; one that was passed in stays to the bit as it is."""
        if self._owns_weights:
            super().init_weights()  # type: ignore[misc]  # from PreTrainedModel

    def _init_weights(self, module: nn.Module) -> None:
        """Weights that a checkpoint lacks are initialised as the base initialises them."""
        self.base._init_weights(module)
