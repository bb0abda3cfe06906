"""A causal language model with the prompts or the prefix of peft, seen as a plain one."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn
from transformers import GenerationMixin, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.errors import UnsupportedModelError
from hf_equi.generation.base_call import call_base

__all__ = ["PromptTunedLM"]


class PromptTunedLM(PreTrainedModel, GenerationMixin):
    r"""What a `PeftModel` with prompts says of texts, in the form of a model of transformers.

    $$ p(v \mid x) = p_M(v \mid z\, x) $$

    Virtual tokens z stand before every text x: their embeddings (prompt tuning, p-tuning), or their keys and values
    (prefix tuning). They are no tokens, so no group moves them, and a model symmetrised over this one is equivariant
    as over any other. The caller sees x alone: logits of its places, and caches of its length.

    As in peft, positions are those behind the virtual tokens; with prompts in the embeddings the positions of the
    call are left out, so that padding counts.

    Args:
        peft_model: A `PeftModelForCausalLM` with one of the methods above. It is not copied.

    Raises:
        UnsupportedModelError: For another kind of model.
    """

    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    prefixes: ClassVar[tuple[str, ...]] = ("PREFIX_TUNING", "CARTRIDGE")
    """The methods whose virtual tokens are keys and values."""

    def __init__(self, peft_model: Any) -> None:
        from peft import PeftModelForCausalLM  # noqa: PLC0415  imported already, by who made the model

        if not isinstance(peft_model, PeftModelForCausalLM):
            raise UnsupportedModelError(
                f"A {type(peft_model).__name__} with the prompts of {peft_model.peft_type.value} cannot be "
                'symmetrised: only causal language models can, with task_type="CAUSAL_LM". Use LoRA or IA³, in the '
                "base or in the symmetrised model."
            )
        inner: Any = peft_model.base_model
        super().__init__(inner.config)
        # peft's model knows its parts by further names, and a weight is saved under one: so it is no part of this one.
        self._peft = (peft_model,)
        self.model = inner
        self.prompt_encoder = peft_model.prompt_encoder
        self.peft_config: dict[str, Any] = peft_model.peft_config
        self.generation_config = inner.generation_config
        self._is_stateful = inner._is_stateful
        if not self.config.architectures:
            self.config.architectures = [type(inner).__name__]
        self.post_init()  # type: ignore[no-untyped-call]  # which learns what the inner model ties
        self.train(inner.training)

    def init_weights(self) -> None:
        """Nothing: both parts were initialised by who made them."""

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> Any:
        """Score the places of texts behind the virtual tokens.

        Args:
            input_ids: `(batch, tokens)` int64.
            attention_mask: `(batch, past + tokens)`, 0 at padding.
            position_ids: `(batch, tokens)`, without the virtual tokens.
            past_key_values: Of a call before this one, or an empty cache.
            use_cache: Whether to return a cache.
            logits_to_keep: The last so many places alone, 0 for all.
            **kwargs: Passed on.

        Raises:
            UnsupportedModelError: For a cache of fixed size, which has no room for virtual tokens; for a prefix under
                activation checkpointing, which takes caches away.
        """
        (peft,) = self._peft
        settings = peft.active_peft_config
        before = settings.num_virtual_tokens
        starts = past_key_values is None or int(past_key_values.get_seq_length()) == 0
        keys = settings.peft_type in self.prefixes
        self._check(past_key_values, keys)
        inputs: dict[str, Any] = {"input_ids": input_ids, "past_key_values": past_key_values, "use_cache": use_cache}
        if attention_mask is not None:
            virtual = attention_mask.new_ones(len(attention_mask), before)
            inputs["attention_mask"] = torch.cat([virtual, attention_mask], 1)
        if keys and position_ids is not None:
            inputs["position_ids"] = position_ids + before
        if starts and keys:
            inputs["past_key_values"] = self._prefix(len(input_ids), past_key_values)
        elif starts:
            inputs["inputs_embeds"] = self._prompted(input_ids, kwargs.pop("task_ids", None))
            inputs["input_ids"] = None
        out = call_base(self.model, {**inputs, **kwargs}, logits_to_keep or input_ids.shape[1])
        if getattr(out, "past_key_values", None) is not None:
            out.past_key_values.virtual_tokens = before
        return out

    def _check(self, cache: Cache | None, keys: bool) -> None:
        """Refuse what would lose the virtual tokens."""
        if cache is not None and cache.is_compileable:
            raise UnsupportedModelError(
                "A cache of fixed size has no room for the virtual tokens of peft: leave cache_implementation out"
            )
        if keys and self.training and self.model.is_activation_checkpointing:
            raise UnsupportedModelError(
                "A prefix stands in the cache, which activation checkpointing takes away: switch it off "
                "(gradient_checkpointing=False), or use prompt tuning"
            )

    def _prompted(self, input_ids: torch.Tensor, task_ids: torch.Tensor | None) -> torch.Tensor:
        """The embeddings of virtual tokens and texts, `(batch, virtual + tokens, width)`."""
        (peft,) = self._peft
        texts: torch.Tensor = self.get_input_embeddings()(input_ids)
        prompts = peft.get_prompt(batch_size=len(input_ids), task_ids=task_ids)
        return torch.cat([prompts.to(texts.dtype), texts], 1)

    def _prefix(self, batch: int, cache: Cache | None) -> Any:
        """A cache that holds the virtual tokens: the one that was given, or peft's own."""
        (peft,) = self._peft
        prefix: Any = peft.get_prompt(batch_size=batch, max_cache_len=-1)
        if cache is None:
            return prefix
        for index, layer in enumerate(prefix.layers):
            cache.update(layer.keys, layer.values, index)
        return cache

    def prepare_inputs_for_generation(  # type: ignore[override]  # called by hf_equi.generation, by these names
        self, input_ids: torch.Tensor, **kwargs: Any
    ) -> dict[str, Any]:
        """The inputs as they are: `forward` knows what has to stand before them."""
        kwargs.pop("is_first_iteration", None)
        return {"input_ids": input_ids, **kwargs}

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
