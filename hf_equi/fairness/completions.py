"""Completions of the orbits of prompts, by a model and by its EquiLM."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from hf_equi.actions import TokenAction
from hf_equi.bases.end_tokens import end_tokens, filling_token
from hf_equi.bases.offloading import input_device
from hf_equi.display import Pieces
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.chat import Conversation, Prompt, encode_prompt
from hf_equi.fairness.decoding import Decoding, check_memory
from hf_equi.fairness.likelihood import GroupGap, group_gap
from hf_equi.fairness.pieces import text_pieces
from hf_equi.fairness.work import Work, rows_of_a_text
from hf_equi.models.causal_lm import EquiLM

__all__ = [
    "Comparison",
    "Member",
    "Prompt",
    "PromptOrbit",
    "Report",
    "RowCounter",
    "compare",
    "refused_words",
    "title",
    "work",
]


@dataclass(frozen=True)
class Member:
    """One member of the orbit of a prompt.

    Args:
        elements: The elements of the group that produce it.
        tokens: The tokens that the models read.
        prompt: Its text.
        base: Its completions by the base model.
        equi: Its completions by the EquiLM.
    """

    elements: tuple[str, ...]
    tokens: tuple[int, ...]
    prompt: Pieces
    base: tuple[Pieces, ...]
    equi: tuple[Pieces, ...]


@dataclass(frozen=True)
class PromptOrbit:
    """A prompt and the members of its orbit, the prompt first.

    Args:
        prompt: The prompt as given.
        members: The members.
        read: Everything that the models read of the prompt, as text: for a chat, its turns.
    """

    prompt: str
    members: tuple[Member, ...]
    read: str

    @property
    def moves(self) -> bool:
        """Whether an element changes the prompt."""
        return len(self.members) > 1


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`: the orbits, and the gap of each model over its own texts."""

    orbits: tuple[PromptOrbit, ...]
    base_gap: GroupGap
    equi_gap: GroupGap | None  # None: the distribution of the texts is not tractable

    @property
    def texts(self) -> int:
        """The number of completions of each model."""
        return sum(len(member.base) for orbit in self.orbits for member in orbit.members)


@dataclass(frozen=True)
class _Row:
    """A member before decoding."""

    elements: tuple[str, ...]
    tokens: tuple[int, ...]
    place: tuple[int, int | None]


Report = Callable[[float, bool], None]
"""A callback: the rows of the base that were done since the last call, and whether they end a batch."""


def work(lm: EquiLM, prompts: Sequence[str | Conversation | Prompt], decoding: Decoding) -> Work:
    """Return how much `compare` has to draw, for two models."""
    members = sum(len(_orbit_rows(lm, _read(lm, prompt))) for prompt in prompts)
    rows = members * max(decoding.samples, decoding.beams or 1)
    return Work(2 * members * decoding.samples, rows * (1 + rows_of_a_text(lm)))


def compare(
    lm: EquiLM,
    prompts: Sequence[str | Conversation | Prompt],
    decoding: Decoding,
    report: Report = lambda rows, ends: None,
) -> Comparison:
    """Complete the orbits of prompts with the base model and with the EquiLM, and measure the gap of each.

    Args:
        lm: The EquiLM, with its base and its tokenizer.
        prompts: The prompts. A text gets the special tokens that the tokenizer puts around any text; a conversation is
            formatted by the chat template.
        decoding: How to decode. The base draws from torch's generator, seeded; the EquiLM uses coupled sampling. The
            state of the generator is restored.
        report: Called after each decoded token of a batch, and at its end.

    Raises:
        ConfigurationError: For a prompt without tokens, or one too long for the model's positions; if there is not
            enough memory for the texts; for a model that acts on words.
    """
    if lm.acts_on_words:
        raise ConfigurationError(refused_words())
    asked = [_read(lm, prompt) for prompt in prompts]
    orbits = [_orbit_rows(lm, prompt) for prompt in asked]
    for prompt, rows in zip(asked, orbits, strict=True):
        _check_length(lm, prompt.text, max(len(row.tokens) for row in rows), decoding)
    longest = max(len(row.tokens) for rows in orbits for row in rows) + decoding.max_new_tokens
    check_memory(lm, *decoding.widest, longest, 2 * sum(map(len, orbits)))
    ids, mask = _pad_left([row.tokens for rows in orbits for row in rows], filling_token(lm.tokenizer))
    with torch.random.fork_rng():
        torch.manual_seed(decoding.seed)
        base = _decode(lm.base, lm, (ids, mask), decoding, RowCounter(report, 1, decoding))
        counter = RowCounter(report, rows_of_a_text(lm), decoding)
        equi = _decode(lm, lm, (ids, mask), decoding, counter, seed=decoding.seed if decoding.sampled else None)
    texts = {name: _cut(lm, out, ids.shape[1], decoding.samples) for name, out in (("base", base), ("equi", equi))}
    return Comparison(
        orbits=_assemble(lm, asked, orbits, texts["base"], texts["equi"]),
        base_gap=_gap(lm.base, lm.action, base, mask),
        equi_gap=_gap(lm, lm.action, equi, mask) if lm.scores_its_texts else None,
    )


def refused_words() -> str:
    """Return why the texts of a model that acts on words are not compared, and what to do."""
    return (
        "This model acts on words, but the orbits shown here are orbits of tokens: use hf-equi audit --action words, "
        "or lm.generate in Python."
    )


def title(lm: EquiLM) -> str:
    """Return the heading for the texts of an EquiLM: its name in the papers, and its method."""
    return f"{'R-' if lm.group.relaxed else ''}{type(lm).__name__} ({lm.config.method})"


def _read(lm: EquiLM, prompt: str | Conversation | Prompt) -> Prompt:
    return prompt if isinstance(prompt, Prompt) else encode_prompt(lm.tokenizer, prompt)


def _orbit_rows(lm: EquiLM, prompt: Prompt) -> list[_Row]:
    """Return the distinct members of the orbit of a prompt, in the order of the elements."""
    if not prompt.tokens:
        raise ConfigurationError(f"The prompt {prompt.text!r} has no tokens: write some text.")
    members: dict[tuple[int, ...], list[int]] = {}
    for element in range(lm.group.order):
        members.setdefault(tuple(lm.action.member(element, prompt.tokens)), []).append(element)
    return [
        _Row(tuple(lm.group.names[g] for g in elements), tokens, _moved_place(lm, elements[0], prompt))
        for tokens, elements in members.items()
    ]


def _moved_place(lm: EquiLM, element: int, prompt: Prompt) -> tuple[int, int | None]:
    """Return where the shown part of a prompt lies in an image."""
    start, stop = prompt.place
    moved = lm.action.boundary(element, prompt.tokens, start)
    return moved, None if stop is None else lm.action.boundary(element, prompt.tokens, stop)


def _check_length(lm: EquiLM, prompt: str, tokens: int, decoding: Decoding) -> None:
    limit = lm.config.max_position_embeddings or math.inf
    if tokens + decoding.max_new_tokens > limit:
        raise ConfigurationError(
            f"The prompt {prompt if len(prompt) <= 60 else prompt[:56] + ' ...'!r} has {tokens} tokens, and "
            f"{decoding.max_new_tokens} new ones go beyond the {limit} positions of the model: shorten the prompt, or "
            "ask for fewer tokens."
        )


def _pad_left(rows: Sequence[tuple[int, ...]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, rows))
    ids = [[pad] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return torch.tensor(ids), torch.tensor(mask)


def _rows_at_once(decoding: Decoding) -> int:
    return max(1, decoding.batch_size // max(decoding.samples, decoding.beams or 1))


def _decode(
    model: PreTrainedModel,
    lm: EquiLM,
    prompts: tuple[torch.Tensor, torch.Tensor],  # ids and mask
    decoding: Decoding,
    counter: RowCounter,
    **settings: Any,
) -> torch.Tensor:
    """Return prompts and completions, `(rows * samples, tokens)`, padded on both sides."""
    (ids, mask), device = prompts, input_device(lm.base)
    pad, width = filling_token(lm.tokenizer), ids.shape[1] + decoding.max_new_tokens
    size, parts = _rows_at_once(decoding), []
    for start in range(0, len(ids), size):
        part = model.generate(  # type: ignore[operator]  # of GenerationMixin
            input_ids=ids[start : start + size].to(device),
            attention_mask=mask[start : start + size].to(device),
            pad_token_id=pad,
            stopping_criteria=StoppingCriteriaList([counter]),
            **decoding.settings(),
            **settings,
        )
        counter.end(len(ids[start : start + size]))
        parts.append(torch.nn.functional.pad(part, (0, width - part.shape[1]), value=pad))
    return torch.cat(parts)


class RowCounter(StoppingCriteria):
    """Counts the rows that are done, and stops nothing. A row with half of its tokens counts as half.

    Args:
        report: Called with the rows that are done.
        rows_of_a_text: The number of rows of the base that a text takes.
        decoding: How the texts are decoded.
    """

    def __init__(self, report: Report, rows_of_a_text: int, decoding: Decoding) -> None:
        self.report, self.rows_of_a_text, self.decoding = report, rows_of_a_text, decoding
        self.width, self.counted = max(decoding.samples, decoding.beams or 1), 0.0

    def end(self, prompts: int) -> None:
        """Count the rest of a batch, because texts may have ended early."""
        self.report(prompts * self.width * self.rows_of_a_text - self.counted, True)
        self.counted = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Count a token, and never stop."""
        step = len(input_ids) * self.rows_of_a_text / self.decoding.max_new_tokens
        self.counted += step
        self.report(step, False)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


def _gap(model: PreTrainedModel, action: TokenAction, out: torch.Tensor, mask: torch.Tensor) -> GroupGap:
    repeated = mask.repeat_interleave(len(out) // len(mask), 0)
    return group_gap(model, action, out, mask.shape[1], repeated)


def _cut(lm: EquiLM, out: torch.Tensor, width: int, samples: int) -> list[list[list[int]]]:
    """Return the new tokens of each sample of each row, up to the end of text."""
    rows = [_until_end(lm, row) for row in out[:, width:].tolist()]
    return [rows[start : start + samples] for start in range(0, len(rows), samples)]


def _until_end(lm: EquiLM, tokens: list[int]) -> list[int]:
    ends = end_tokens(lm.generation_config.eos_token_id)
    return next((tokens[:place] for place, token in enumerate(tokens) if token in ends), tokens)


def _assemble(
    lm: EquiLM,
    prompts: Sequence[Prompt],
    orbits: Sequence[Sequence[_Row]],
    base: Sequence[Sequence[list[int]]],
    equi: Sequence[Sequence[list[int]]],
) -> tuple[PromptOrbit, ...]:
    texts = iter(zip(base, equi, strict=True))
    return tuple(
        PromptOrbit(prompt.text, tuple(_member(lm, row, *next(texts)) for row in rows), prompt.read or prompt.text)
        for prompt, rows in zip(prompts, orbits, strict=True)
    )


def _member(lm: EquiLM, row: _Row, base: Sequence[list[int]], equi: Sequence[list[int]]) -> Member:
    prompt = list(row.tokens)
    start, stop = row.place
    return Member(
        elements=row.elements,
        tokens=row.tokens,
        prompt=text_pieces(lm.tokenizer, lm.action, prompt[start:stop], prompt[:start]),
        base=tuple(text_pieces(lm.tokenizer, lm.action, tokens, prompt) for tokens in base),
        equi=tuple(text_pieces(lm.tokenizer, lm.action, tokens, prompt) for tokens in equi),
    )
