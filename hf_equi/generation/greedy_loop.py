"""The plainest decoding there is, without the machinery of `generate`: the best token of each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.actions import ColumnAction
from hf_equi.bases.compat import cache_of, cached
from hf_equi.generation.base_call import call_base
from hf_equi.generation.plain_greedy import PlainGreedy
from hf_equi.symmetrizers import Orbit

__all__ = ["write_greedily"]


@torch.no_grad()
def write_greedily(
    base: PreTrainedModel,
    action: ColumnAction,
    orbit: Orbit,
    source: dict[str, Any],
    limits: PlainGreedy,
    score: Callable[[torch.Tensor], torch.Tensor],
    break_ties: Callable[[torch.Tensor, int], torch.Tensor],
    note: Callable[[torch.Tensor], object] = lambda ended: None,
) -> torch.Tensor:
    r"""Write the best token of each step, which every member reads in its own frame.

    $$ y_t = \arg\max_v \text{score}\big(p_M(\cdot \mid g y_{<t}, gx)_g\big)(v) $$

    A sentence a call, the machinery of `generate` costs more than a small base. This asks no more of a step than the
    base, the score and its maximum.

    Args:
        base: A base with an encoder.
        action: The group on target tokens.
        orbit: The members of B sources, R rows. No two members of a source share a row, so that none ever forks.
        source: What the base's decoder is given of the sources, `gx`, a row each.
        limits: Start token, new tokens at most, padding and end tokens.
        score: Logits of the rows, `(R, V)` in their frames, float32 at least, to scores of the texts, `(B, V)` in the
            user's frame.
        break_ties: Of scores `(B, V)` at a step, some with several best tokens, those with one.
        note: Called after each step with the texts that have ended, `(B,)` bool.

    Returns:
        `(B, 1 + T)` tokens in the user's frame, the start token first.

    Cost: a base forward of R rows for each token of the longest text.
    """
    frame, text = action.permutations[orbit.element_of_row], orbit.batch_of_row  # g(v), (R, V)
    ends = torch.tensor(limits.ends, dtype=torch.long, device=frame.device)
    texts = torch.full((len(orbit.counts), limits.new_tokens + 1), limits.pad, device=frame.device)
    texts[:, 0] = limits.start
    last, ended = texts[:, 0], torch.zeros_like(texts[:, 0], dtype=torch.bool)
    prepare: Any = base.prepare_inputs_for_generation
    cache = None
    for step in range(limits.new_tokens):
        held = cached(cache, type(base).prepare_inputs_for_generation)  # type: ignore[attr-defined]
        read = frame.gather(1, last[text, None])
        out = call_base(base, prepare(read, is_first_iteration=step == 0, use_cache=True, **held, **source), 1)
        cache = cache_of(out)
        logits = out.logits[:, -1]
        scores = score(logits.to(torch.promote_types(logits.dtype, torch.float32)))
        best, last = scores.max(-1)
        if int((scores == best[:, None]).sum()) != len(scores):
            last = break_ties(scores, step).argmax(-1)
        texts[:, step + 1] = last = last.masked_fill(ended, limits.pad)
        ended = ended | (last[:, None] == ends).any(1)
        note(ended)
        if bool(ended.all()):
            break
    return texts[:, : step + 2]
