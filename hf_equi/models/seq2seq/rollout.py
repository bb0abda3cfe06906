"""Training a symmetrised decoder on its own tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.actions import TokenAction
from hf_equi.bases.compat import cache_of, cached
from hf_equi.generation.base_call import call_base
from hf_equi.generation.encoded_source import EncodedSource
from hf_equi.generation.orbit_forward import OrbitInputs, forward_orbit
from hf_equi.models.seq2seq.outputs import silenced
from hf_equi.networks.scheduled_sampling import ScheduledSampling
from hf_equi.symmetrizers import Decision, Method

__all__ = ["Rollout", "roll_out_independent", "roll_out_synchronised"]


@dataclass(frozen=True)
class Rollout:
    """The result of a rollout.

    Args:
        scores: `(B, T, V)` combined scores: log-probabilities, or what training uses in their place.
        labels: `(B, T)`, also −100 after an end that a sentence chose for itself; `None` if there are none.
        decision: The method's decision.
    """

    scores: torch.Tensor
    labels: torch.Tensor | None
    decision: Decision


def roll_out_synchronised(
    base: PreTrainedModel,
    action: TokenAction,
    method: Method,
    source: EncodedSource,
    sampling: ScheduledSampling,
    normalised: bool = True,
) -> Rollout:
    """Combine the members at every step; sentences without teacher forcing read the best token of the combination.

    Args:
        base: The base model.
        action: The group on target tokens.
        method: How members are combined.
        source: The encoded orbits.
        sampling: Says which sentences read the target.
        normalised: Whether the scores are renormalised (see `EquiSeq2SeqConfig.objective`).

    Cost: one decoder step of the distinct members for each token.
    """
    cache: Any = None

    def read(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal cache
        inputs = OrbitInputs(tokens[:, None], cache=cache, use_cache=True, source=source, normalised=normalised)
        out = forward_orbit(base, action, method, source.elements, inputs)
        cache = out.cache
        return out.combined[:, -1]

    scores, labels = sampling.run(read)
    return Rollout(scores, labels, Decision())


def roll_out_independent(
    base: PreTrainedModel,
    action: TokenAction,
    method: Method,
    source: EncodedSource,
    sampling: ScheduledSampling,
    normalised: bool = True,
) -> Rollout:
    """Decode each member alone and combine whole outputs; without teacher forcing, members read their own tokens.

    A member that has ended does not contribute to the places after its end. The loss of a sentence ends where the
    combination does.

    Args:
        base: The base model.
        action: The group on target tokens.
        method: How outputs are combined.
        source: The encoded orbits.
        sampling: Says which sentences read the target.
        normalised: Whether the scores are renormalised (see `EquiSeq2SeqConfig.objective`).

    Cost: one decoder step of the distinct members for each token.
    """
    members = action.members(source.elements, sampling.inputs)  # (B, K, T)
    orbit = source.start().after(members)
    batch, slots = orbit.batch_of_row, orbit.slot_of_row
    encoded = source.rows(batch, slots)
    cache: Any = None

    def read(tokens: torch.Tensor) -> torch.Tensor:
        nonlocal cache
        step = {"decoder_input_ids": tokens[:, None], "use_cache": True, **cached(cache), **encoded}
        out = call_base(base, step, 1)
        cache = cache_of(out)
        logits = out.logits[:, -1]
        row_scores: torch.Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        return row_scores

    # Every place of a member has a label here, so the rollout leaves out exactly the places after its end.
    rows = ScheduledSampling(
        members[batch, slots], torch.zeros_like(members[batch, slots]), sampling.forced[batch], sampling.ends
    )
    scores, lived = rows.run(read)
    live = lived != -100  # (R, T)
    counted = live & (sampling.labels[batch] != -100)
    fold = method.combine.fold(orbit, action, normalised)
    scores = silenced(orbit, live, scores, method.combine.empty)
    fold.add(0, scores, source.log_weights(batch, slots, scores.shape[1]), counted)
    combined = fold.result()
    return Rollout(combined, _until_end(combined, sampling), fold.decision())


def _until_end(scores: torch.Tensor, sampling: ScheduledSampling) -> torch.Tensor:
    """Return the labels without the places after the end that a sentence chooses for itself."""
    own = scores.detach().argmax(-1)
    ends = torch.isin(own, torch.tensor(sampling.ends, device=own.device))
    behind = ends.cumsum(1) - ends.long() > 0
    return sampling.labels.masked_fill(behind & ~sampling.forced[:, None], -100)
