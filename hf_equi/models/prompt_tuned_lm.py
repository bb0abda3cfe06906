"""A causal language model with the prompts or the prefix of peft, seen as a plain one."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache

from hf_equi.generation.base_call import call_base
from hf_equi.models.prompt_tuned import PromptTunedModel

__all__ = ["PromptTunedLM"]


class PromptTunedLM(PromptTunedModel):
    r"""What a `PeftModelForCausalLM` with prompts says of texts, in the form of a model of transformers.

    $$ p(v \mid x) = p_M(v \mid z\, x) $$

    Virtual tokens z stand before every text x. The caller sees x alone: logits of its places, and caches of its
    length.

    As in peft, positions are those behind the virtual tokens; with prompts in the embeddings the positions of the
    call are left out, so that padding counts.

    Args:
        peft_model: A `PeftModelForCausalLM` with prompts or a prefix. It is not copied.

    Raises:
        UnsupportedModelError: As `PromptTunedModel`.
    """

    peft_class = "PeftModelForCausalLM"
    task_type = "CAUSAL_LM"
    encodes = False

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
        self.check_cache(past_key_values)
        starts, keys = self.begins(past_key_values), self.has_prefix
        inputs: dict[str, Any] = {"input_ids": input_ids, "past_key_values": past_key_values, "use_cache": use_cache}
        if attention_mask is not None:
            inputs["attention_mask"] = self.lengthened(attention_mask)
        if keys and position_ids is not None:
            inputs["position_ids"] = position_ids + self.virtual_tokens
        if starts and keys:
            inputs["past_key_values"] = self.prefixed(len(input_ids), past_key_values)
        elif starts:
            inputs["inputs_embeds"] = self.prompted(input_ids, kwargs.pop("task_ids", None))
            inputs["input_ids"] = None
        out = call_base(self.model, {**inputs, **kwargs}, logits_to_keep or input_ids.shape[1])
        if getattr(out, "past_key_values", None) is not None:
            out.past_key_values.virtual_tokens = self.virtual_tokens
        return out

    def prepare_inputs_for_generation(  # type: ignore[override]  # called by hf_equi.generation, by these names
        self, input_ids: torch.Tensor, **kwargs: Any
    ) -> dict[str, Any]:
        """The inputs as they are: `forward` knows what has to stand before them."""
        kwargs.pop("is_first_iteration", None)
        return {"input_ids": input_ids, **kwargs}
