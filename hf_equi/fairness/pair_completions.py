"""Targets for the orbits of sources, by a sequence-to-sequence model and by its symmetrised model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, StoppingCriteriaList

from hf_equi.actions import TokenPairAction
from hf_equi.bases.end_tokens import end_tokens, filling_token
from hf_equi.bases.offloading import input_device
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation, Prompt, encode_prompt
from hf_equi.fairness.completions import Comparison, Member, PromptOrbit, Report, RowCounter
from hf_equi.fairness.decoding import Decoding
from hf_equi.fairness.likelihood import GroupGap
from hf_equi.fairness.pieces import text_pieces
from hf_equi.fairness.work import Work, rows_of_a_text
from hf_equi.models.seq2seq import EquiForSeq2SeqLM

__all__ = ["compare_pairs", "pair_gap", "pair_work"]

_ROWS = 64  # rows that are scored at once
_IGNORED = -100  # the label of places that are not scored, as in transformers


@dataclass(frozen=True)
class _Source:
    """A member of the orbit of a source."""

    elements: tuple[str, ...]
    tokens: tuple[int, ...]
    place: tuple[int, int | None]


def pair_work(model: EquiForSeq2SeqLM, prompts: Sequence[str | Conversation], decoding: Decoding) -> Work:
    """Return how much `compare_pairs` has to draw, for two models."""
    members = sum(len(_orbit(model, encode_prompt(model.tokenizer, prompt))) for prompt in prompts)
    rows = members * max(decoding.samples, decoding.beams or 1)
    return Work(2 * members * decoding.samples, rows * (1 + rows_of_a_text(model)))


def compare_pairs(
    model: EquiForSeq2SeqLM,
    prompts: Sequence[str | Conversation],
    decoding: Decoding,
    report: Report = lambda rows, ends: None,
) -> Comparison:
    """Write targets for the orbits of sources with the base and with the symmetrised model, and measure their gaps.

    Args:
        model: The symmetrised model, with its base and its tokenizers.
        prompts: The sources.
        decoding: How to decode, as in `hf_equi.fairness.completions.compare`.
        report: As in `hf_equi.fairness.completions.compare`.

    Raises:
        ConfigurationError: For a source without tokens.
    """
    asked = [encode_prompt(model.tokenizer, prompt) for prompt in prompts]
    orbits = [_orbit(model, prompt) for prompt in asked]
    sources = _pad([row.tokens for rows in orbits for row in rows], filling_token(model.tokenizer))
    with torch.random.fork_rng():
        torch.manual_seed(decoding.seed)
        base = _decode(model.base, model, sources, decoding, RowCounter(report, 1, decoding))
        counter = RowCounter(report, rows_of_a_text(model), decoding)
        equi = _decode(model, model, sources, decoding, counter, seed=decoding.seed if decoding.sampled else None)
    repeated = tuple(part.repeat_interleave(decoding.samples, 0) for part in sources)
    said = iter(zip(_cut(model, base, decoding.samples), _cut(model, equi, decoding.samples), strict=True))
    return Comparison(
        orbits=tuple(
            PromptOrbit(
                prompt.text, tuple(_member(model, row, *next(said)) for row in rows), prompt.read or prompt.text
            )
            for prompt, rows in zip(asked, orbits, strict=True)
        ),
        base_gap=pair_gap(model.base, model, repeated, base),
        equi_gap=None if model.method.searches else pair_gap(model, model, repeated, equi),
    )


def pair_gap(
    asked: PreTrainedModel, model: EquiForSeq2SeqLM, sources: tuple[torch.Tensor, ...], targets: torch.Tensor
) -> GroupGap:
    r"""Return how much the likelihood of targets changes when a group moves source and target, in nats a token.

    $$ \frac{1}{|Y|} \left| \log p(gY \mid gX) - \log p(Y \mid X) \right| $$

    Args:
        asked: The model to measure: the base or the symmetrised model.
        model: The symmetrised model, which has the action and the tokenizers.
        sources: `(rows, length)` tokens and their mask.
        targets: `(rows, tokens)` as `generate` returns them, with their start token.

    Cost: a forward of `asked` for each row and element.
    """
    action: TokenPairAction = model.action
    device = input_device(model.base)
    ids, mask, targets = sources[0].to(device), sources[1].to(device), targets.to(device)
    counted = _counted(model, targets)
    own = _likelihood(asked, (ids, mask), targets, counted)
    gaps = [
        (_likelihood(asked, (action.source.apply(g, ids), mask), action.target.apply(g, targets), counted) - own).abs()
        / counted.sum(1)
        for g in range(1, model.group.order)
    ]
    every = torch.stack(gaps) if gaps else torch.zeros(1)
    return GroupGap(largest=every.max().item(), mean=every.mean().item())


def _likelihood(
    asked: PreTrainedModel, sources: tuple[torch.Tensor, torch.Tensor], targets: torch.Tensor, counted: torch.Tensor
) -> torch.Tensor:
    """Return the log-likelihood of targets `(rows,)`, float64."""
    labels = targets[:, 1:].masked_fill(~counted, _IGNORED)
    parts = []
    for start in range(0, len(targets), _ROWS):
        rows = slice(start, start + _ROWS)
        with torch.no_grad():
            logits = asked(
                input_ids=sources[0][rows],
                attention_mask=sources[1][rows],
                decoder_input_ids=targets[rows, :-1],
                labels=labels[rows],
            ).logits
        scores = logits.float().log_softmax(-1).gather(-1, targets[rows, 1:, None]).squeeze(-1)  # (rows, tokens)
        parts.append(scores.double().masked_fill(~counted[rows], 0).sum(1))
    return torch.cat(parts)


def _counted(model: EquiForSeq2SeqLM, targets: torch.Tensor) -> torch.Tensor:
    """Return which tokens after the first belong to the text, its first end token included, `(rows, tokens - 1)`."""
    ends = torch.tensor(end_tokens(model.generation_config.eos_token_id), device=targets.device)
    ended = torch.isin(targets[:, 1:], ends).long()
    return ended.cumsum(1) - ended == 0


def _orbit(model: EquiForSeq2SeqLM, prompt: Prompt) -> list[_Source]:
    """Return the distinct members of the orbit of a source, in the order of the elements."""
    ids = torch.tensor(prompt.tokens, dtype=torch.long, device=model.action.source.device)
    if not len(ids):
        raise ConfigurationError(f"The prompt {prompt.text!r} has no tokens: write some text.")
    members: dict[tuple[int, ...], list[str]] = {}
    for name, member in zip(model.group.names, model.action.source.permutations[:, ids].tolist(), strict=True):
        members.setdefault(tuple(member), []).append(name)
    return [_Source(tuple(names), tokens, prompt.place) for tokens, names in members.items()]


def _pad(rows: Sequence[tuple[int, ...]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([list(row) + [pad] * (width - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])


def _rows_at_once(decoding: Decoding) -> int:
    return max(1, decoding.batch_size // max(decoding.samples, decoding.beams or 1))


def _decode(
    asked: PreTrainedModel,
    model: EquiForSeq2SeqLM,
    sources: tuple[torch.Tensor, torch.Tensor],
    decoding: Decoding,
    counter: RowCounter,
    **settings: Any,
) -> torch.Tensor:
    """Return targets, `(rows * samples, tokens)`, padded on their right to one width."""
    pad, parts, size = filling_token(model.target_tokenizer), [], _rows_at_once(decoding)
    device = input_device(model.base)
    for start in range(0, len(sources[0]), size):
        ids, mask = (part[start : start + size].to(device) for part in sources)
        parts.append(
            asked.generate(  # type: ignore[operator]  # of GenerationMixin
                input_ids=ids,
                attention_mask=mask,
                stopping_criteria=StoppingCriteriaList([counter]),
                **decoding.settings(),
                **settings,
            )
        )
        counter.end(len(ids))
    width = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, width - part.shape[1]), value=pad) for part in parts])


def _cut(model: EquiForSeq2SeqLM, out: torch.Tensor, samples: int) -> list[list[list[int]]]:
    """Return the tokens of each sample of each source, without its start and end tokens."""
    ends = end_tokens(model.generation_config.eos_token_id)
    rows = []
    for row in out[:, 1:].tolist():
        rows.append(next((row[:place] for place, token in enumerate(row) if token in ends), row))
    return [rows[start : start + samples] for start in range(0, len(rows), samples)]


def _member(model: EquiForSeq2SeqLM, row: _Source, base: Sequence[list[int]], equi: Sequence[list[int]]) -> Member:
    read, written = (model.tokenizer, model.action.source), (model.target_tokenizer, model.action.target)
    prompt, (start, stop) = list(row.tokens), row.place
    return Member(
        elements=row.elements,
        tokens=row.tokens,
        prompt=text_pieces(*read, prompt[start:stop], prompt[:start]),
        base=tuple(text_pieces(*written, tokens) for tokens in base),
        equi=tuple(text_pieces(*written, tokens) for tokens in equi),
    )
