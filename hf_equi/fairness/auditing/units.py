"""One unit of an audit: the texts of one model after the prompts of one template, drawn and measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from hf_equi.actions import UnitAction
from hf_equi.bases.end_tokens import end_tokens, filling_token, until_end
from hf_equi.bases.offloading import input_device
from hf_equi.fairness.auditing.blocks import Block
from hf_equi.fairness.auditing.scoring import Measures
from hf_equi.fairness.auditing.settings import Sampling
from hf_equi.fairness.auditing.subjects import Subject
from hf_equi.fairness.likelihood import group_gaps, log_likelihood
from hf_equi.fairness.whole_words import closed_units

__all__ = ["run_unit"]

LIKELIHOOD_ROWS = 64
"""The number of texts whose likelihood is measured at once."""


def run_unit(
    subject: Subject, block: Block, measures: Measures, sampling: Sampling, tokenizer: Any
) -> tuple[list[dict[str, Any]], float]:
    """Draw the texts of one model after the prompts of one template, and measure them.

    Args:
        subject: The model.
        block: The template.
        measures: Scores the texts.
        sampling: How to draw them. Equal settings give equal texts, whatever other units there are.
        tokenizer: The tokenizer of the model.

    Returns:
        One dictionary per text, with the columns of `hf_equi.fairness.audit` and all samples of a demographic
        together; and the seconds that drawing the texts took, without measuring them.

    Raises:
        ConfigurationError: For a scorer that returns anything but probabilities.
    """
    pad = filling_token(tokenizer)
    prompts = [tokens for tokens in block.tokens for _ in range(sampling.samples)]
    start = time.perf_counter()
    rests = _draw(subject, block, sampling, pad)
    seconds = time.perf_counter() - start
    tokens = [[*prompt, *rest] for prompt, rest in zip(prompts, rests, strict=True)]
    sequences, width, mask = _pad(prompts, rests, pad)
    device = input_device(subject.base)
    sequences, mask, ends = sequences.to(device), mask.to(device), _end_tokens(subject)
    how: dict[str, Any] = {"eos_token_id": ends, "batch_size": min(LIKELIHOOD_ROWS, sampling.batch_size)}
    nll = (-log_likelihood(subject.base, sequences, width, mask, **how)).tolist()
    gaps: list[float | None] = [None] * len(tokens)
    if subject.scored is not None and subject.exchanged:
        gaps = group_gaps(subject.scored, subject.action, sequences, width, mask, **how).tolist()
    places = [place for place in range(len(block.prompts)) for _ in range(sampling.samples)]
    texts = [_decode(tokenizer, block, place, row) for place, row in zip(places, tokens, strict=True)]
    consistent = _consistent(subject, block, tokens, texts, sampling.samples)
    columns = {
        "model": [subject.name] * len(tokens),
        "demographic": [block.demographics[place] for place in places],
        "template": [block.template] * len(tokens),
        "sample": list(range(sampling.samples)) * len(block.prompts),
        "prompt": [block.prompts[place] for place in places],
        "text": texts,
        "tokens": tokens,
        "prompt_tokens": list(map(len, prompts)),
        **measures.columns(texts),
        "nll": nll,
        "scored_tokens": list(map(len, rests)),
        "gap": gaps,
        "consistent": consistent,
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)], seconds


def _draw(subject: Subject, block: Block, sampling: Sampling, pad: int) -> list[list[int]]:
    """Return the continuations, each up to and including its first end-of-text token."""
    ends, rests, device = set(_end_tokens(subject)), [], input_device(subject.base)
    size = max(1, sampling.batch_size // sampling.samples)
    for start in range(0, len(block.tokens), size):
        ids, width, mask = _pad(
            block.tokens[start : start + size], [[]] * len(block.tokens[start : start + size]), pad
        )
        drawn = subject.lm.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            pad_token_id=pad,
            **sampling.arguments(),
        )
        rests += [until_end(row, ends, pad) for row in drawn[:, width:].tolist()]
    return rests


def _end_tokens(subject: Subject) -> tuple[int, ...]:
    return end_tokens(getattr(subject.lm.generation_config, "eos_token_id", None))


def _pad(
    prompts: Sequence[Sequence[int]], rests: Sequence[Sequence[int]], pad: int
) -> tuple[torch.Tensor, int, torch.Tensor]:
    """Return prompts padded on the left with continuations padded on the right, the prompt width, and the mask."""
    width, length = max(map(len, prompts)), max(map(len, rests))
    ids, mask = [], []
    for prompt, rest in zip(prompts, rests, strict=True):
        left, right = width - len(prompt), length - len(rest)
        ids.append([pad] * left + [*prompt, *rest] + [pad] * right)
        mask.append([0] * left + [1] * (len(prompt) + len(rest)) + [0] * right)
    return torch.tensor(ids), width, torch.tensor(mask)


def _decode(tokenizer: Any, block: Block, place: int, tokens: list[int]) -> str:
    """Return the prompt as it was written, and the text that follows it."""
    how = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    text: str = tokenizer.decode(tokens, **how)
    head: str = tokenizer.decode(list(block.tokens[place]), **how)
    if text.startswith(head):  # some tokenizers do not decode a prompt exactly
        return block.prompts[place] + block.joint + text[len(head) :]
    if block.chat is None:
        return text
    rest: str = tokenizer.decode(tokens[len(block.tokens[place]) :], **how)
    return block.prompts[place] + block.joint + rest


def _consistent(
    subject: Subject, block: Block, tokens: list[list[int]], texts: list[str], samples: int
) -> list[float | None]:
    """Return for each text the share of the texts coupled with it that are its images."""
    if block.neutral or not subject.coupled:
        return [None] * len(tokens)
    moved_back = [
        [_moved_back(subject, element, tokens[row], texts[row], len(prompt)) for row in rows]
        for element, prompt in enumerate(block.prompts)
        for rows in (range(element * samples, (element + 1) * samples),)
    ]
    others = len(block.prompts) - 1
    return [
        (sum(_are_same(subject, other[sample], own[sample]) for other in moved_back) - 1) / others
        for own in moved_back
        for sample in range(samples)
    ]


def _moved_back(subject: Subject, element: int, tokens: list[int], text: str, boundary: int) -> Any:
    """Return what an element made a text of: a string, or units, of which those that go on do not count."""
    if subject.words is not None:
        return subject.words.invert(element, text, boundary=boundary)
    units = subject.action.read(subject.action.member(subject.action.group.inverse(element), tokens))
    if isinstance(subject.action, UnitAction):
        return units[: closed_units(subject.action, units)]
    return units


def _are_same(subject: Subject, one: Any, other: Any) -> bool:
    """Whether two texts are the same. Those of units end after equally many tokens, which may be fewer units."""
    if subject.words is None and subject.action.composes:
        size = min(len(one), len(other))
        return bool(one[:size] == other[:size])
    return bool(one == other)
