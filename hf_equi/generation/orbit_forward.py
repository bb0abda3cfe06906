r"""The reader of texts: it runs a base that writes tokens on orbits of texts.

    token ids ── orbit, equal members shared ──► rows ── base ──► log-probabilities ── pull back, combine ──► (B, ...)

Everything that combines members at each token (`EquiLM.forward`, `EquiForSeq2SeqLM.forward`, `EquiLogitsProcessor`)
calls `forward_orbit`. In a sequence-to-sequence model it reads the target's tokens. The encoder's output for the
members of the source, made by `encode_orbit`, is passed as `OrbitInputs.source`.

Three loops over steps run their rows themselves, with the same orbits, actions and folds: the search of EquizeroLM
(`DraftCache`), members that train on their own tokens (`roll_out_independent`), and plain greedy texts
(`write_greedily`).

Letters: B texts, K members of each, R distinct rows, T new tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import Cache

from hf_equi.actions import TokenAction
from hf_equi.actions.units import UnitAction
from hf_equi.bases.chunks import in_chunks, shares_rows
from hf_equi.bases.compat import CACHE, cache_of, cached
from hf_equi.bases.memory import advice_on_memory
from hf_equi.bases.rows import repeat_rows
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.generation.base_call import call_base
from hf_equi.generation.encoded_source import EncodedSource
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.padding import check_mask
from hf_equi.generation.units.board import UnitBoard
from hf_equi.generation.units.forward import UnitForward
from hf_equi.generation.units.laws import LookAhead
from hf_equi.generation.units.state import UnitCache
from hf_equi.symmetrizers import Decision, Method, Orbit

__all__ = ["OrbitInputs", "OrbitScores", "forward_orbit"]

# A second call of the base costs about as much as this number of rows times tokens, because the weights are read
# again. So a shared prefix is fed separately only if that saves more.
MINIMUM_SAVING = 256


@dataclass(frozen=True)
class OrbitInputs:
    """The inputs of a symmetrised forward.

    Args:
        input_ids: `(B, T)` new tokens, in the user's frame.
        attention_mask: `(B, past + T)`, 0 at padding, or `None`.
        position_ids: `(B, T)` or `None`.
        cache: The cache so far: `None`, an empty cache of the base, or an `OrbitCache`.
        use_cache: Whether to return a cache.
        logits_to_keep: As in transformers: the number of last places to score, 0 for all.
        prompt_length: The number of places that belong to the prompt, `(B,)`, for methods that weigh what comes after
            it; `None` for all.
        chunk: The members of each orbit that go through the base at once; `None` for all.
        extras: Passed on to the base.
        source: The encoded orbits of the sources, for a base with an encoder.
        counted: `(B, T)` bool, the places by which members are chosen; `None` for all.
        normalised: Whether to renormalise the combination. A distribution has to be; a training objective need not be.
        look: Where to look ahead, for a group that moves words of several tokens.
        board: Where to note the law of units, for such a group.
    """

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None = None
    position_ids: torch.Tensor | None = None
    cache: Cache | None = None
    use_cache: bool = False
    logits_to_keep: int = 0
    prompt_length: torch.Tensor | None = None
    chunk: int | None = None
    extras: dict[str, Any] = field(default_factory=dict)
    source: EncodedSource | None = None
    counted: torch.Tensor | None = None
    normalised: bool = True
    look: LookAhead = field(default_factory=LookAhead)
    board: UnitBoard | None = None

    def __post_init__(self) -> None:
        """Refuse masks that rows cannot have, and recognise a cache of the base that holds orbits."""
        name = "attention_mask" if self.source is None else "decoder_attention_mask"
        check_mask(self.attention_mask, self.input_ids, name, after_cache=self.cache is not None)
        object.__setattr__(self, "cache", OrbitCache.again(self.cache))

    def start(self, elements: torch.Tensor, shared: bool = True) -> Orbit:
        """Return the orbits before the first token: those of empty texts, or those of the sources."""
        return Orbit.start(elements, shared) if self.source is None else self.source.start(shared)


@dataclass(frozen=True)
class OrbitScores:
    """The output of a symmetrised forward: log-probabilities `(B, T', V)`, those of the identity's row, the cache."""

    combined: torch.Tensor
    identity: torch.Tensor | None
    cache: OrbitCache | None
    decision: Decision = field(default_factory=Decision)


def forward_orbit(
    base: PreTrainedModel,
    action: TokenAction,
    method: Method,
    elements: torch.Tensor,
    inputs: OrbitInputs,
    keep_identity: bool = False,
) -> OrbitScores:
    r"""Run the base on the orbits of some texts, pull back and combine.

    $$ \log p_G(v) = \text{normalise}\big(\text{combine}_g \log p_M(g(v) \mid gx)\big) $$

    Args:
        base: The base model.
        action: The group on its tokens.
        method: How members are combined.
        elements: `(B, K)` the members to run. If there is a cache, they are its members.
        inputs: The texts.
        keep_identity: Whether to return the scores of the identity's row too.

    Returns:
        Float32 log-probabilities (float64 for a float64 base) and, with `use_cache`, the cache.

    Raises:
        ConfigurationError: If a cache holds other members, or another number of texts.
        UnsupportedModelError: If another model, method or group has filled the cache; if memory runs out, with advice;
            if several tokens after a cache are to be scored by a model with recurrent layers; if a cache is in a graph
            to be exported, or words of several tokens.

    Cost: one base forward of the distinct members; two if a long shared prefix is fed separately.
    """
    ids = inputs.input_ids
    members = (ids.shape[0], elements.shape[1])
    with advice_on_memory(f"texts of {ids.shape[1]} tokens", members, inputs.chunk, ids.device):
        if isinstance(action, UnitAction):
            return _forward_units(base, action, method, elements, inputs)
        if inputs.cache is None and not inputs.use_cache:
            return _uncached(base, action, method, elements, inputs)
        if torch.compiler.is_exporting():
            raise UnsupportedModelError(
                "A graph cannot hold a cache of orbits, because rows fork where the members of a text diverge: "
                f"export the model with use_cache=False and without {CACHE}="
            )
        return _cached(base, action, method, elements, inputs, keep_identity)


def _forward_units(
    base: PreTrainedModel, action: UnitAction, method: Method, elements: torch.Tensor, inputs: OrbitInputs
) -> OrbitScores:
    """Score texts in which words of several tokens move."""
    ids, keep, cache = inputs.input_ids, inputs.logits_to_keep or inputs.input_ids.shape[1], None
    if inputs.cache is not None or inputs.use_cache:
        config = base.config.get_text_config(decoder=True)
        cache = _open_cache(action, method, elements, inputs) or DynamicCache(config=config)
    mask = None if inputs.attention_mask is None else inputs.attention_mask[:, -ids.shape[1] :]
    forward = UnitForward(base, action, method, inputs.look, inputs.extras, inputs.chunk)
    out = forward.score(ids, mask, elements, cache, keep)
    if inputs.board is not None:
        inputs.board.write(ids.shape[1] if out.cache is None else out.cache.get_seq_length(), out.law, out.opened)
    return OrbitScores(out.combined, out.identity, out.cache)


def _cached(
    base: PreTrainedModel,
    action: TokenAction,
    method: Method,
    elements: torch.Tensor,
    inputs: OrbitInputs,
    keep_identity: bool,
) -> OrbitScores:
    """Score new tokens after the cached ones, segment by segment."""
    cache = _open_cache(action, method, elements, inputs)
    orbit = inputs.start(elements) if cache is None else cache.orbit
    members = action.members(orbit.elements, inputs.input_ids)
    if method.history_weights is not None and members.shape[1] > 1 and cache is not None and cache.get_seq_length():
        raise ConfigurationError(
            "The weights of the members of these texts depend on the scores of the earlier tokens, and a cache does "
            f"not hold those. Leave {CACHE}= out, and pass the whole texts."
        )
    for start, stop in _segments(base, members, orbit, cache, inputs):
        tokens = members[..., start:stop]
        orbit = orbit.after(tokens) if cache is None else cache.extend(tokens)
        out = _cached_call(base, members, orbit, cache, inputs, (start, stop))
        if cache is None and (inner := cache_of(out)) is not None:
            cache = OrbitCache(inner, orbit, action, type(method.select))
    fold = method.combine.fold(orbit, action, inputs.normalised)
    scores = _normalise(out.logits, needed=keep_identity or not fold.takes_logits)
    whole = members.shape[1] > 1 and scores.shape[1] == members.shape[-1]
    rows = slice(0, orbit.rows)
    weights = _weights(method, scores, members, orbit, rows, inputs) if whole or inputs.source is not None else None
    fold.add(0, scores, weights, _counted(inputs, orbit, rows, scores.shape[1]))
    identity = scores[orbit.row_of[:, 0]] if keep_identity else None
    return OrbitScores(fold.result(), identity, cache, fold.decision())


def _open_cache(action: TokenAction, method: Method, elements: torch.Tensor, inputs: OrbitInputs) -> OrbitCache | None:
    """Return the orbit cache of the inputs, or a new one around an empty cache of the base."""
    cache = inputs.cache
    if cache is None:
        return None
    if isinstance(cache, OrbitCache):
        cache.check_action(action)
        if len(inputs.input_ids) != len(cache.orbit.elements):
            raise ConfigurationError(
                f"This cache holds {len(cache.orbit.elements)} texts, but input_ids have {len(inputs.input_ids)}. "
                f"Pass the next tokens of each text, or leave {CACHE}= out."
            )
        if elements is not cache.orbit.elements and not torch.equal(elements, cache.orbit.elements):
            cache.check_select(method.select)
            raise ConfigurationError(
                "This cache holds other members of the orbits than elements= names. Leave elements= out to continue "
                f"with the cached members, or leave {CACHE}= out and pass the whole texts."
                if inputs.source is None
                else "This cache holds other members of the orbits than this call reads of its sources. Pass the "
                f"sources that filled it and the same elements=, or leave {CACHE}= out and pass the whole targets."
            )
        return cache
    if int(cache.get_seq_length()) > 0:
        raise UnsupportedModelError(
            f"This cache was filled by another model, so it does not hold the orbits of its texts. Pass a {CACHE}= "
            "that this model returned, or leave it out."
        )
    if isinstance(action, UnitAction):
        return _open_unit_cache(cache, elements, action, method)
    return OrbitCache(cache, inputs.start(elements, shared=not cache.is_compileable), action, type(method.select))


def _open_unit_cache(cache: Cache, elements: torch.Tensor, action: UnitAction, method: Method) -> UnitCache:
    """Return a new cache of texts of units around an empty cache of the base.

    Raises:
        UnsupportedModelError: For a cache of fixed size.
    """
    if cache.is_compileable:
        raise UnsupportedModelError(
            "Rows of words of several tokens differ in length, and a cache of fixed size cannot hide places of a row: "
            'leave cache_implementation out, or symmetrize with multi_token="skip".'
        )
    return UnitCache(cache, Orbit.start(elements), action, type(method.select))


def _uncached(
    base: PreTrainedModel, action: TokenAction, method: Method, elements: torch.Tensor, inputs: OrbitInputs
) -> OrbitScores:
    """Score all places of whole texts, a chunk of rows at a time."""
    members = action.members(elements, inputs.input_ids)
    orbit = inputs.start(elements, shares_rows(base, inputs.chunk)).after(members)
    fold = method.combine.fold(orbit, action, inputs.normalised)
    history = method.history_weights is not None
    keep = 0 if history else inputs.logits_to_keep
    size = None if inputs.chunk is None else members.shape[0] * inputs.chunk

    def score(rows: slice) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch, slots = orbit.batch_of_row[rows], orbit.slot_of_row[rows]
        name = "input_ids" if inputs.source is None else "decoder_input_ids"
        arguments = {name: members[batch, slots], **_rows(inputs, inputs.attention_mask, None, batch, slots)}
        logits = call_base(base, {**arguments, "use_cache": False}, keep).logits
        scores = _normalise(logits, needed=not fold.takes_logits)
        weights = _weights(method, scores, members, orbit, rows, inputs)
        if history and weights is not None:
            scores, weights = scores[:, -inputs.logits_to_keep :], weights[:, -inputs.logits_to_keep :]
        return scores, weights

    for rows, (scores, weights) in in_chunks(base, orbit.rows, size, score):
        fold.add(rows.start, scores, weights, _counted(inputs, orbit, rows, scores.shape[1]))
    return OrbitScores(fold.result(), None, None, fold.decision())


def _weights(
    method: Method,
    scores: torch.Tensor,
    members: torch.Tensor,
    orbit: Orbit,
    rows: slice,
    inputs: OrbitInputs,
) -> torch.Tensor | None:
    """Return log weights of some rows, `(rows, T)`: of their sources or their texts so far; `None` for equal ones."""
    batch, slots = orbit.batch_of_row[rows], orbit.slot_of_row[rows]
    if inputs.source is not None:
        return inputs.source.log_weights(batch, slots, scores.shape[1])
    return _history(method, scores, members[batch, slots], batch, inputs)


def _counted(inputs: OrbitInputs, orbit: Orbit, rows: slice, places: int) -> torch.Tensor | None:
    """Return which of the last places of some rows count, `(rows, places)`."""
    return None if inputs.counted is None else inputs.counted[orbit.batch_of_row[rows], -places:]


def _history(
    method: Method, scores: torch.Tensor, tokens: torch.Tensor, batch: torch.Tensor, inputs: OrbitInputs
) -> torch.Tensor | None:
    """Return log weights of the rows after each place, `(rows, T)`; `None` if all members weigh the same."""
    if method.history_weights is None or inputs.prompt_length is None:
        return None
    taken = torch.zeros_like(scores[..., 0])
    taken[:, 1:] = scores[:, :-1].gather(-1, tokens[:, 1:, None]).squeeze(-1)
    places = torch.arange(tokens.shape[1], device=tokens.device)
    after_prompt = places >= inputs.prompt_length[batch, None]
    if inputs.attention_mask is not None:
        after_prompt &= inputs.attention_mask[batch, -tokens.shape[1] :].bool()
    return method.history_weights.log_weights(taken.where(after_prompt, 0.0))


def _segments(
    base: PreTrainedModel, members: torch.Tensor, orbit: Orbit, cache: OrbitCache | None, inputs: OrbitInputs
) -> list[tuple[int, int]]:
    """Return how to cut the new tokens into calls: a long shared prefix first, and no call above the chunk."""
    tokens = members.shape[-1]
    if base._is_stateful and inputs.source is None:
        return _recurrent_segments(tokens, cache, inputs)
    if tokens == 1 or inputs.logits_to_keep != 1:  # other values need the logits of every call
        return [(0, tokens)]
    first, rows = orbit.rows, [(place, fork.rows) for place, fork in orbit.forks(members)]
    last = rows[-1][1] if rows else first
    split, saved = 0, 0
    for place, before in zip([place for place, _ in rows], [first, *(count for _, count in rows)], strict=False):
        if place * (last - before) > max(saved, MINIMUM_SAVING):
            split, saved, first = place, place * (last - before), before
    segments = []
    for start, stop, width in ((0, split, first), (split, tokens, last)):
        limit = stop - start
        if inputs.chunk is not None:
            limit = max(1, len(members) * inputs.chunk * tokens // width)
        segments += [(place, min(place + limit, stop)) for place in range(start, stop, max(limit, 1))]
    return segments


def _recurrent_segments(tokens: int, cache: OrbitCache | None, inputs: OrbitInputs) -> list[tuple[int, int]]:
    """Return the calls for recurrent layers: several tokens at once are correct only at the start."""
    if tokens == 1 or cache is None or cache.get_seq_length() == 0:
        return [(0, tokens)]
    if inputs.logits_to_keep != 1:
        raise UnsupportedModelError(
            f"A model with recurrent layers cannot score {tokens} tokens at once after a cache. Pass them one at a "
            "time, pass logits_to_keep=1 to score only the last, or pass the whole text without a cache."
        )
    return [(place, place + 1) for place in range(tokens)]


def _cached_call(
    base: PreTrainedModel,
    members: torch.Tensor,
    orbit: Orbit,
    cache: OrbitCache | None,
    inputs: OrbitInputs,
    segment: tuple[int, int],
) -> Any:
    """Feed one segment of the new tokens to the rows of the cache, as `generate` would feed it to the base."""
    start, stop = segment
    batch, slots = orbit.batch_of_row, orbit.slot_of_row
    past = 0 if cache is None else cache.get_seq_length()
    mask = inputs.attention_mask
    if mask is not None:
        mask = mask[:, : mask.shape[1] - members.shape[-1] + stop]
    positions = None if inputs.position_ids is None else inputs.position_ids[:, start:stop]
    arguments = base.prepare_inputs_for_generation(  # type: ignore[operator]  # from GenerationMixin
        members[..., start:stop][batch, slots],
        is_first_iteration=past == 0,
        use_cache=True,
        **cached(None if cache is None else cache.inner, type(base).prepare_inputs_for_generation),  # type: ignore[attr-defined]
        **_rows(inputs, mask, positions, batch, slots),
    )
    return call_base(base, arguments, inputs.logits_to_keep)


def _rows(
    inputs: OrbitInputs,
    mask: torch.Tensor | None,
    positions: torch.Tensor | None,
    batch: torch.Tensor,
    slots: torch.Tensor,
) -> dict[str, Any]:
    """Return the base's inputs for some rows besides their tokens: masks, positions, sources, extras."""
    positions = inputs.position_ids if positions is None else positions
    rows: dict[str, Any] = {}
    if mask is not None:
        rows["attention_mask" if inputs.source is None else "decoder_attention_mask"] = mask[batch]
    if positions is not None:
        rows["position_ids"] = positions[batch] if positions.shape[0] > 1 else positions.expand(batch.shape[0], -1)
    if (source := inputs.source) is not None:
        cache = inputs.cache
        if isinstance(cache, OrbitCache) and len(batch) == cache.orbit.rows:
            rows |= cache.note(source.encoded, lambda: source.rows(batch, slots))
        else:
            rows |= source.rows(batch, slots)
    return {**rows, **repeat_rows(inputs.extras, batch, inputs.input_ids.shape[0])}


def _normalise(logits: torch.Tensor, needed: bool) -> torch.Tensor:
    """Convert scores to float32 at least, and to log-probabilities if those are needed."""
    scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return scores.log_softmax(-1) if needed else scores
