"""`GenerationMixin`, the same with every release of transformers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from transformers import GenerationMixin, LogitsProcessorList

from hf_equi.bases.compat import accepts_cache, answering_to_both
from hf_equi.bases.constraints import asked_by_prompt

__all__ = ["AnyReleaseGenerationMixin"]


class AnyReleaseGenerationMixin(GenerationMixin):
    """`generate` that takes a cache by either name, and numbers prompts in a `prefix_allowed_tokens_fn`.

    Source and target may have vocabularies of different sizes. It replaces `GenerationMixin` among the bases of a
    model.
    """

    @accepts_cache(removed="6.0.0")
    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """Do as transformers. With `return_dict_in_generate`, the output has its cache under both names."""
        return answering_to_both(super().generate(*args, **kwargs))

    def compute_transition_scores(
        self,
        sequences: torch.Tensor,
        scores: tuple[torch.Tensor, ...],
        beam_indices: torch.Tensor | None = None,
        normalize_logits: bool = False,
    ) -> torch.Tensor:
        """Do as transformers, which assumes that all scores are over a vocabulary as large as the source's."""
        text = SimpleNamespace(vocab_size=scores[0].shape[-1])
        sized: Any = SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: text))
        return GenerationMixin.compute_transition_scores(
            sized,
            sequences,
            scores,  # type: ignore[arg-type]  # of one tensor a token, not of one in all
            beam_indices,
            normalize_logits,
        )

    def _get_logits_processor(self, *args: Any, **kwargs: Any) -> LogitsProcessorList:
        """Return the processors of a call. Its own constraint is asked with the number of the prompt of a row."""
        processors = super()._get_logits_processor(*args, **kwargs)  # type: ignore[misc]
        function = kwargs.get("prefix_allowed_tokens_fn")
        if function is None:
            return processors
        config = kwargs["generation_config"]
        rows = max(config.num_beams or 1, config.num_return_sequences or 1)  # rows of each prompt
        return asked_by_prompt(processors, lambda row: row // rows, function)
