"""Plain greedy decoding without the machinery of `generate`: the best token of each step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.bases.compat import cache_of, cached
from hf_equi.generation.base_call import prepared_call
from hf_equi.generation.plain_greedy import PlainGreedy

__all__ = ["Limits", "write_greedily"]


@dataclass(frozen=True)
class Limits:
    """Where texts start and end, which may differ from text to text.

    Args:
        start: The first token, `(B, 1)`.
        new_tokens: The most tokens to write.
        pad: The token after an end, `(B, 1)`.
        ends: The tokens that end a text, each `(B, 1)`.
    """

    start: torch.Tensor
    new_tokens: int
    pad: torch.Tensor
    ends: tuple[torch.Tensor, ...]

    @classmethod
    def of(cls, settings: PlainGreedy, token: Callable[[int], torch.Tensor]) -> Limits:
        """Return the limits of a call; `token` turns a token that its settings name into `(B, 1)`."""
        ends = tuple(token(end) for end in settings.ends)
        return cls(token(settings.start), settings.new_tokens, token(settings.pad), ends)


@torch.no_grad()
def write_greedily(
    base: PreTrainedModel,
    source: dict[str, Any],
    limits: Limits,
    read: Callable[[torch.Tensor], torch.Tensor],
    score: Callable[[torch.Tensor], torch.Tensor],
    break_ties: Callable[[torch.Tensor, int], torch.Tensor],
    note: Callable[[torch.Tensor], object] = lambda ended: None,
) -> torch.Tensor:
    r"""Write the best token of each step, with `R` rows for `B` texts.

    $$ y_t = \arg\max_v \text{score}\big(p_M(\cdot \mid \text{read}(y_{<t}), x)\big)(v) $$

    With one sentence per call, the machinery of `generate` costs more than a small base. This function computes only
    the base, the score and its maximum at each step.

    Args:
        base: A base with an encoder.
        source: The arguments of the base's decoder that hold the sources, one row each.
        limits: Where texts start and end.
        read: Turns the last tokens of the texts, `(B, 1)`, into those that the rows read, `(R, 1)`.
        score: Turns logits of the rows, `(R, V)`, float32 at least, into scores of the texts, `(B, V)`.
        break_ties: Turns scores `(B, V)` at a step, some with several best tokens, into scores with a single best
            token.
        note: Called after each step with the texts that have ended, `(B,)` bool.

    Returns:
        `(B, 1 + T)` tokens, the start token first.

    Cost: one base forward of R rows for each token of the longest text.
    """
    call = prepared_call(base, logits_to_keep=1)
    prepare: Any = base.prepare_inputs_for_generation
    last, texts = limits.start, [limits.start]
    ended, some_ended = torch.zeros_like(last, dtype=torch.bool), False
    one, cache = torch.ones_like(last[:, 0]), None
    for step in range(limits.new_tokens):
        held = cached(cache, type(base).prepare_inputs_for_generation)  # type: ignore[attr-defined]
        out = call(prepare(read(last), is_first_iteration=step == 0, use_cache=True, **held, **source))
        cache = cache_of(out)
        logits = out.logits[:, -1]
        scores = score(logits.to(torch.promote_types(logits.dtype, torch.float32)))
        best, last = scores.max(-1, keepdim=True)
        if not torch.equal((scores == best).sum(-1), one):
            last = break_ties(scores, step).argmax(-1, keepdim=True)
        if some_ended:
            last = torch.where(ended, limits.pad, last)
        texts.append(last)
        for end in limits.ends:
            ended = ended | (last == end)
        note(ended[:, 0])
        count = int(ended.sum())
        some_ended = count > 0
        if count == len(ended):
            break
    return torch.cat(texts, 1)
