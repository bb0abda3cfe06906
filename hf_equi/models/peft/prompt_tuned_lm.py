"""A causal language model with the prompts or the prefix of peft, presented as a plain one."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache

from hf_equi.bases.compat import accepts_cache, cache_of, cached
from hf_equi.generation.base_call import call_base
from hf_equi.models.peft.prompt_tuned import PromptTunedModel

__all__ = ["PromptTunedLM"]


class PromptTunedLM(PromptTunedModel):
    r"""A `PeftModelForCausalLM` with prompts, in the form of a transformers model.

    $$ p(v \mid x) = p_M(v \mid z\, x) $$

    Virtual tokens z stand before every text x. The caller sees only x: logits of its places, and caches of its length.

    As in peft, positions count from after the virtual tokens. With prompts in the embeddings, the positions of the
    call are ignored, so padding counts.

    Args:
        peft_model: A `PeftModelForCausalLM` with prompts or a prefix. It is not copied.

    Raises:
        UnsupportedModelError: As in `PromptTunedModel`.
    """

    peft_class = "PeftModelForCausalLM"
    task_type = "CAUSAL_LM"
    encodes = False

    @accepts_cache()
    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> Any:
        """Score the places of texts, after the virtual tokens.

        Args:
            input_ids: `(batch, tokens)` int64.
            attention_mask: `(batch, past + tokens)`, 0 at padding.
            position_ids: `(batch, tokens)`, without the virtual tokens.
            cache: The cache of an earlier call, or an empty cache.
            use_cache: Whether to return a cache.
            logits_to_keep: The number of last places to score, 0 for all.
            **kwargs: Passed on.

        Raises:
            UnsupportedModelError: For a cache of fixed size, which has no room for virtual tokens; for a prefix under
                activation checkpointing, which removes caches.
        """
        self.check_cache(cache)
        starts, keys = self.begins(cache), self.has_prefix
        inputs: dict[str, Any] = {"input_ids": input_ids, "use_cache": use_cache, **cached(cache)}
        if attention_mask is not None:
            inputs["attention_mask"] = self.lengthened(attention_mask)
        if keys and position_ids is not None:
            inputs["position_ids"] = position_ids + self.virtual_tokens
        if starts and keys:
            inputs |= cached(self.prefixed(len(input_ids), cache))
        elif starts:
            inputs["inputs_embeds"] = self.prompted(input_ids, kwargs.pop("task_ids", None))
            inputs["input_ids"] = None
        out = call_base(self.model, {**inputs, **kwargs}, logits_to_keep or input_ids.shape[1])
        if (filled := cache_of(out)) is not None:
            filled.virtual_tokens = self.virtual_tokens
        return out

    def prepare_inputs_for_generation(  # called by hf_equi.generation, by these names
        self, input_ids: torch.Tensor, **kwargs: Any
    ) -> dict[str, Any]:
        """Return the inputs unchanged: `forward` adds what has to stand before them."""
        kwargs.pop("is_first_iteration", None)
        return {"input_ids": input_ids, **kwargs}
