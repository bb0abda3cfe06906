"""What every wrapped model does with its base: hold it, share its config, pass on its embeddings."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from hf_equi.bases.compat import CACHE
from hf_equi.groups import FiniteGroup
from hf_equi.models.peft_bases import attach_adapter, bare_base, refused_prompts

__all__ = ["WrapperMixin"]

_Output = TypeVar("_Output", bound=ModelOutput)


class WrapperMixin:
    """The base inside a `PreTrainedModel`. Comes before it in the bases of a model."""

    auto_class: ClassVar[Any]
    """The Auto class of the bases."""
    base: PreTrainedModel
    config: Any
    supports_gradient_checkpointing: bool
    _skip_keys_device_placement: ClassVar[list[str]] = [CACHE]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def _wrap(self, base: PreTrainedModel | None, check: Callable[[PreTrainedModel], None]) -> None:
        """Hold a base, or a new one from the config, if `check` does not refuse it."""
        self._owns_weights = base is None
        self._peft_base: tuple[Any, ...] = ()
        self._frozen: tuple[str, ...] = ()
        if base is None:
            self.config.name_classes()
            base = self._new_base()
        check(base)
        self.base = base
        # One config object, so that edits to either model's are seen by both.
        self.config.base_config = base.config
        if not self._owns_weights:
            self.config.follow_base()
        self._share_quantization(base)
        self._is_stateful = base._is_stateful
        self.supports_gradient_checkpointing = base.supports_gradient_checkpointing
        if base.can_generate() and base.generation_config is not None:
            self.generation_config = copy.deepcopy(base.generation_config)
        self._loaded_base = None
        self._action: Any = None

    def _returned(self, result: _Output, return_dict: bool | None) -> _Output | tuple[Any, ...]:
        """The output, or a tuple of it where the call asks for one or else the config, as in transformers."""
        wanted = self.config.return_dict if return_dict is None else return_dict
        return result if wanted else result.to_tuple()

    def _new_base(self) -> Any:
        """A base from the config, with the adapter that it had."""
        base = self.auto_class.from_config(self.config.base_config)
        if self.config.adapter is not None:
            adapted = attach_adapter(base, self.config.adapter)
            self.hold_peft_base(adapted)
            base = bare_base(adapted)
            self._frozen = tuple(name for name, weight in base.named_parameters() if not weight.requires_grad)
        return base

    def freeze_again(self) -> None:
        """Freeze what the adapter of a new base had frozen: loading lets all weights loose."""
        for name in self._frozen:
            self.base.get_parameter(name).requires_grad_(False)

    def hold_peft_base(self, model: Any) -> None:
        """Note the `PeftModel` that `unwrap` gives: the base is its model, or stands for it."""
        self._peft_base = (model,)  # in a tuple: its weights are those of the base, and no second set

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

    def get_submodule(self, target: str) -> nn.Module:
        """A part of the model by its name.

        Raises:
            ConfigurationError: Where peft looks for the embeddings that its prompts would stand before.
        """
        if target == "embeddings.word_embeddings":  # no model has it that keeps all but its networks in `base`
            raise refused_prompts(type(self).__name__)
        part: nn.Module = super().get_submodule(target)  # type: ignore[misc]  # from nn.Module
        return part

    def init_weights(self) -> None:
        """Initialise and tie the weights of a new base; one that was passed in stays to the bit as it is."""
        if self._owns_weights:
            super().init_weights()  # type: ignore[misc]  # from PreTrainedModel

    def _init_weights(self, module: nn.Module) -> None:
        """Weights that a checkpoint lacks are initialised as the base initialises them."""
        self.base._init_weights(module)
