"""What models with virtual tokens of peft have in common, whatever they read and write."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.bases.compat import CACHE
from hf_equi.bases.decoding import AnyReleaseGenerationMixin
from hf_equi.errors import UnsupportedModelError

__all__ = ["PromptTunedModel"]


class PromptTunedModel(PreTrainedModel, AnyReleaseGenerationMixin):
    """A `PeftModel` with prompts or a prefix, in the form of a transformers model.

    Virtual tokens stand before a text: as embeddings (prompt tuning, p-tuning), or as keys and values (prefix tuning).
    They are not tokens, so no group moves them, and a model symmetrised over this one is as equivariant as any other.
    The caller sees only the text.

    Args:
        peft_model: The peft model. It is not copied.

    Raises:
        UnsupportedModelError: If the adapter was made for another task than the model's.
    """

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _skip_keys_device_placement = [CACHE]  # noqa: RUF012  as transformers declares it
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    peft_class: ClassVar[str]
    """The peft class that it stands for."""
    task_type: ClassVar[str]
    """Peft's name of the task."""
    encodes: ClassVar[bool]
    """Whether such models have an encoder."""
    prefixes: ClassVar[tuple[str, ...]] = ("PREFIX_TUNING", "CARTRIDGE")
    """The methods whose virtual tokens are keys and values."""

    def __init__(self, peft_model: Any) -> None:
        inner: Any = peft_model.base_model
        if bool(inner.config.is_encoder_decoder) != self.encodes:
            raise UnsupportedModelError(
                f"An adapter for task_type={self.task_type!r} does not fit a {type(inner).__name__}: make one for the "
                "task of the model"
            )
        super().__init__(inner.config)
        # Not a submodule: peft's model knows its parts by other names, and a weight is saved under one name only.
        self._peft = (peft_model,)
        self.model = inner
        self.prompt_encoder = peft_model.prompt_encoder
        self.peft_config: dict[str, Any] = peft_model.peft_config
        self.generation_config = inner.generation_config
        self._is_stateful = inner._is_stateful
        if not self.config.architectures:
            self.config.architectures = [type(inner).__name__]
        self.post_init()  # type: ignore[no-untyped-call]  # it learns what the inner model ties
        self.train(inner.training)

    def init_weights(self) -> None:
        """Do nothing: both parts have already been initialised."""

    @property
    def virtual_tokens(self) -> int:
        """The number of virtual tokens before a text."""
        (peft,) = self._peft
        return int(peft.active_peft_config.num_virtual_tokens)

    @property
    def has_prefix(self) -> bool:
        """Whether the virtual tokens are keys and values, not embeddings."""
        (peft,) = self._peft
        return peft.active_peft_config.peft_type in self.prefixes

    def check_cache(self, cache: Cache | None) -> None:
        """Refuse a cache without room for the keys and values of virtual tokens, and whatever removes them.

        Raises:
            UnsupportedModelError: For a cache of fixed size; for a prefix under activation checkpointing.
        """
        if cache is not None and cache.is_compileable:
            raise UnsupportedModelError(
                "A cache of fixed size has no room for the virtual tokens of peft: leave cache_implementation out"
            )
        if self.has_prefix and self.training and self.model.is_activation_checkpointing:
            raise UnsupportedModelError(
                "A prefix lies in the cache, which activation checkpointing removes: switch checkpointing off "
                "(gradient_checkpointing=False), or use prompt tuning"
            )

    @staticmethod
    def begins(cache: Cache | None) -> bool:
        """Return whether texts begin with this call, so that virtual tokens stand before them."""
        return cache is None or int(cache.get_seq_length()) == 0

    def lengthened(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        """Return a mask `(batch, tokens)` with ones added for virtual tokens, `(batch, virtual + tokens)`."""
        return None if mask is None else torch.cat([mask.new_ones(len(mask), self.virtual_tokens), mask], 1)

    def prompted(self, input_ids: torch.Tensor, task_ids: torch.Tensor | None = None) -> torch.Tensor:
        """Return the embeddings of virtual tokens and texts, `(batch, virtual + tokens, width)`."""
        (peft,) = self._peft
        texts: torch.Tensor = self.get_input_embeddings()(input_ids)
        # In text-to-text models peft keeps as many prompts again for the decoder, and reads only the first half.
        prompts = peft.get_prompt(batch_size=len(input_ids), task_ids=task_ids)[:, : self.virtual_tokens]
        return torch.cat([prompts.to(texts.dtype), texts], 1)

    def prefixed(self, batch: int, cache: Cache | None) -> Any:
        """Return a cache that holds the virtual tokens: the given one, or peft's own."""
        (peft,) = self._peft
        prefix: Any = peft.get_prompt(batch_size=batch, max_cache_len=-1)
        if cache is None:
            return prefix
        source, target = (getattr(each, "self_attention_cache", each) for each in (prefix, cache))
        for index, layer in enumerate(source.layers):
            target.update(layer.keys, layer.values, index)
        return cache

    def get_input_embeddings(self) -> nn.Module:
        """The base's."""
        embeddings: nn.Module = self.model.get_input_embeddings()
        return embeddings

    def get_output_embeddings(self) -> nn.Module | None:
        """The base's."""
        head: nn.Module | None = self.model.get_output_embeddings()
        return head

    def _init_weights(self, module: nn.Module) -> None:
        self.model._init_weights(module)

    def _validate_model_kwargs(self, model_kwargs: dict[str, Any]) -> None:
        self.model._validate_model_kwargs(model_kwargs)
