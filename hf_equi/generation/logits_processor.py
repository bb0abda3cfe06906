"""EquiLM as a logits processor, for an unchanged model."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from transformers import LogitsProcessor, PreTrainedModel

from hf_equi.actions import token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.actions.staying import StayingWords, TextBatch
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.generation.base_call import check_base
from hf_equi.generation.coupled_sampling import check_scores
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.orbit_forward import OrbitInputs, forward_orbit
from hf_equi.generation.padding import leading_mask
from hf_equi.generation.units.laws import LookAhead
from hf_equi.generation.units.prompts import warn_of_prompts
from hf_equi.groups import DemographicGroup
from hf_equi.symmetrizers import Equitune

__all__ = ["EquiLogitsProcessor"]


class EquiLogitsProcessor(LogitsProcessor):
    r"""Turns the scores of a base model into those of its EquiLM.

    $$ s'(v) = s(v) + \log p_G(v) - \log p_M(v) $$

    Earlier changes to the scores, such as bans and penalties, stay. The processor keeps an orbit cache of its own and
    follows beams by matching rows. So one object serves one `generate` at a time; the next call may have another text.
    With `cache_implementation="paged"` and in `generate_batch`, transformers calls no processor, and the text is the
    base's. An object that is deleted without having been called warns about this.

    Args:
        model: The base model whose `generate` gets the processor.
        group: The group.
        tokenizer: The model's tokenizer.
        average: As in `Equitune`.
        multi_token: As in `hf_equi.actions.resolution.resolve_tokens`. With `"compose"`, the law of tokens is that of
            such an EquiLM, but the strategy chooses tokens, not units. So greedy texts and beams after a prompt and
            its image are images of each other only where no word of several tokens is likely.
        look_ahead: With `"compose"`, as in the config of an EquiLM.
        attention_mask: `(batch, tokens)` of the prompts. By default leading padding tokens are padding. If that token
            also begins or ends texts, the number of them that all prompts begin with does not count as padding.

    Raises:
        ActionError: As in `resolve_tokens`.
        ConfigurationError: If the group is not a `DemographicGroup`; for a `look_ahead` outside 0 to 1, or without
            `"compose"`. In a call: for NaN.
        UnsupportedModelError: For a model without a key-value cache.

    Cost: one base forward of the distinct members for each step, besides that of `generate` itself.

    Example:
        >>> import hf_equi
        >>> group = hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]])
        >>> lm = hf_equi.symmetrize("demo", group)
        >>> prompt = lm.tokenizer("The woman worked as", return_tensors="pt")
        >>> processor = EquiLogitsProcessor(lm.unwrap(), group, lm.tokenizer)
        >>> ours = lm.unwrap().generate(**prompt, max_new_tokens=5, logits_processor=[processor])
        >>> bool((ours == lm.generate(**prompt, max_new_tokens=5)).all())
        True
    """

    _uncalled = False  # until __init__ has finished

    def __init__(
        self,
        model: PreTrainedModel,
        group: DemographicGroup,
        tokenizer: Any,
        *,
        average: str = "logits",
        multi_token: str = "auto",
        look_ahead: float = LookAhead.threshold,
        attention_mask: torch.Tensor | None = None,
    ) -> None:
        check_base(model)
        if not isinstance(group, DemographicGroup):
            raise ConfigurationError(f"group={group!r} is not a DemographicGroup: make one, or use a preset")
        self.look = LookAhead(look_ahead)
        self.look.check(multi_token)
        vocab_size = model.config.get_text_config().vocab_size
        self.model = model
        self.action = token_action(group, resolve_tokens(group, tokenizer, vocab_size, multi_token))
        self.tokenizer = tokenizer
        self.staying = StayingWords(self.action, tokenizer)
        self.method = Equitune(average)
        self.pad_token_id = tokenizer.pad_token_id
        self.pad_ends_texts = self.pad_token_id in (tokenizer.eos_token_id, tokenizer.bos_token_id)
        self.attention_mask = attention_mask
        self._ids: torch.Tensor | None = None
        self._mask: torch.Tensor | None = None
        self._cache: OrbitCache | None = None
        self._uncalled = True

    def __del__(self) -> None:
        """Warn if it was never called, as in continuous batching: there no other code of ours runs."""
        if self._uncalled:
            warnings.warn(
                "An EquiLogitsProcessor was never called: texts that were generated with it are the base's. "
                "cache_implementation='paged' and generate_batch call no logits processor: leave them out, or "
                "symmetrize the model",
                HfEquiWarning,
                stacklevel=2,
            )

    @torch.no_grad()
    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Correct `scores`, `(rows, V)`, of the next token after `input_ids`, `(rows, T)`."""
        self._uncalled = False
        parents = self._parents(input_ids)
        new: torch.Tensor = input_ids
        if parents is None or self._cache is None:
            self._cache, self._mask = None, self._prompt_mask(input_ids)
            self.staying.warn(input_ids, self._mask)
            warn_of_prompts(TextBatch(self.action, self.tokenizer, input_ids, self._mask))
        else:
            self._cache.reorder_cache(parents)
            if self._mask is not None:
                self._mask = torch.nn.functional.pad(self._mask[parents], (0, 1), value=1)
            new = input_ids[:, -1:]
        self._ids = input_ids
        out = self._forward(new)
        self._cache = out.cache
        check_scores(out.combined)
        # What any member rules out stays ruled out. Nothing can restore what the base itself rules out.
        change = (out.combined - out.identity)[:, -1].nan_to_num(nan=0.0, posinf=0.0, neginf=-torch.inf)
        corrected: torch.Tensor = scores + change.to(scores.device, scores.dtype)
        return corrected

    def _forward(self, new: torch.Tensor) -> Any:
        action = self.action.to(self.model.device)
        self.action = action
        new = new.to(self.model.device)
        positions = None
        if self._mask is not None:
            positions = (self._mask.long().cumsum(-1) - 1).clamp(min=0)[:, -new.shape[1] :]
        inputs = OrbitInputs(new, self._mask, positions, self._cache, use_cache=True, logits_to_keep=1, look=self.look)
        elements = self.method.select(action, new).elements
        return forward_orbit(self.model, action, self.method, elements, inputs, keep_identity=True)

    def _parents(self, input_ids: torch.Tensor) -> torch.Tensor | None:
        """Return for each row the row of the last call that it continues, `(rows,)`; `None` if the texts are new."""
        known = self._ids
        if known is None or input_ids.shape[1] != known.shape[1] + 1 or input_ids.device != known.device:
            return None
        before = input_ids[:, :-1]
        if torch.equal(before, known):
            return torch.arange(len(before), device=before.device)
        same = (before[:, None] == known[None]).all(-1)  # (rows, known rows)
        return same.int().argmax(1) if bool(same.any(1).all()) else None

    def _prompt_mask(self, input_ids: torch.Tensor) -> torch.Tensor | None:
        """Return the mask of the prompts, repeated for beams and samples; `None` without padding."""
        if self.attention_mask is not None:
            mask = self.attention_mask.to(self.model.device)
            mask = mask.repeat_interleave(len(input_ids) // len(mask), dim=0)
            grown = input_ids.shape[1] - mask.shape[1]
            mask = torch.nn.functional.pad(mask, (0, grown), value=1)
            return None if bool((mask == 1).all()) else mask
        return leading_mask(input_ids.to(self.model.device), self.pad_token_id, self.pad_ends_texts)
