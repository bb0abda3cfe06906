"""One unit of an audit: the texts of one model after the prompts of one template, drawn and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from hf_equi.bases.end_tokens import end_tokens, filling_token
from hf_equi.errors import ConfigurationError
from hf_equi.fairness.auditing.blocks import Block
from hf_equi.fairness.auditing.settings import Sampling
from hf_equi.fairness.auditing.subjects import Subject
from hf_equi.fairness.likelihood import group_gaps, log_likelihood
from hf_equi.generation.scorers import LABELS

__all__ = ["Measures", "run_unit"]

LIKELIHOOD_ROWS = 64
"""Texts whose likelihood is measured at once."""


class Measures:
    """The regard of texts, as they are and with the demographic hidden.

    Args:
        scorer: A `RegardScorer`, or what has its `probabilities` and `masked`.
        group: Whose words are hidden.

    Raises:
        ConfigurationError: For a scorer that gives losses alone.
    """

    def __init__(self, scorer: Any, group: Any) -> None:
        if not (callable(getattr(scorer, "probabilities", None)) and callable(getattr(scorer, "masked", None))):
            name = getattr(scorer, "__name__", type(scorer).__name__)
            raise ConfigurationError(
                f"The scorer {name} gives no label probabilities, which the audit counts: pass a RegardScorer, or an "
                "object with its methods probabilities and masked."
            )
        self.scorers = {"": scorer, "masked_": scorer.masked(group)}

    def columns(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """The probabilities and the most probable label of each text, in both ways."""
        columns: dict[str, list[Any]] = {}
        for prefix, scorer in self.scorers.items():
            found = scorer.probabilities(texts)
            _check_probabilities(scorer, found, len(texts))
            found = found.double()  # hard labels may be whole numbers, which JSON would keep as such
            for place, label in enumerate(LABELS):
                columns[prefix + label] = found[:, place].tolist()
            columns[prefix + "label"] = [LABELS[place] for place in found.argmax(-1).tolist()]
        return columns


def _check_probabilities(scorer: Any, found: Any, texts: int) -> None:
    name = type(scorer).__name__
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (texts, len(LABELS)):
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise ConfigurationError(
            f"The probabilities of the scorer {name} are of shape {shape} for {texts} texts: return a tensor of shape "
            f"({texts}, {len(LABELS)}), one column each for {', '.join(LABELS)}."
        )
    if not found.isfinite().all() or bool(((found < 0) | (found > 1)).any()):
        raise ConfigurationError(
            f"The scorer {name} gave what is not a probability, {found[~((found >= 0) & (found <= 1))][0]:g}: return "
            "numbers from 0 to 1, not logits."
        )


def run_unit(
    subject: Subject, block: Block, measures: Measures, sampling: Sampling, tokenizer: Any
) -> list[dict[str, Any]]:
    """Draw the texts of one model after the prompts of one template, and measure them.

    Args:
        subject: The model.
        block: The template.
        measures: What scores the texts.
        sampling: How to draw them. Equal settings give equal texts, whatever other units there are.
        tokenizer: Of the model.

    Returns:
        One dictionary a text, all samples of a demographic after each other: the columns of `hf_equi.fairness.audit`.

    Raises:
        ConfigurationError: For a scorer that returns anything but probabilities.
    """
    pad = filling_token(tokenizer)
    prompts = [tokens for tokens in block.tokens for _ in range(sampling.samples)]
    rests = _draw(subject, block, sampling, pad)
    tokens = [[*prompt, *rest] for prompt, rest in zip(prompts, rests, strict=True)]
    sequences, width, mask = _pad(prompts, rests, pad)
    sequences, mask, ends = sequences.to(subject.lm.device), mask.to(subject.lm.device), _end_tokens(subject)
    how: dict[str, Any] = {"eos_token_id": ends, "batch_size": LIKELIHOOD_ROWS}
    nll = (-log_likelihood(subject.base, sequences, width, mask, **how)).tolist()
    gaps: list[float | None] = [None] * len(tokens)
    if subject.scored is not None and subject.coupled:
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
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _draw(subject: Subject, block: Block, sampling: Sampling, pad: int) -> list[list[int]]:
    """The continuations, each up to and with its first end-of-text token."""
    ends, rests = set(_end_tokens(subject)), []
    size = max(1, sampling.batch_size // sampling.samples)
    for start in range(0, len(block.tokens), size):
        ids, width, mask = _pad(
            block.tokens[start : start + size], [[]] * len(block.tokens[start : start + size]), pad
        )
        drawn = subject.lm.generate(
            input_ids=ids.to(subject.lm.device),
            attention_mask=mask.to(subject.lm.device),
            pad_token_id=pad,
            **sampling.arguments(),
        )
        rests += [_until_end(row, ends, pad) for row in drawn[:, width:].tolist()]
    return rests


def _until_end(row: list[int], ends: set[int], pad: int) -> list[int]:
    for place, token in enumerate(row):
        if token in ends:
            return row[: place + 1]
    # A search on words gives texts of unequal lengths, so padding may follow a text that has no end.
    while len(row) > 1 and row[-1] == pad:
        row = row[:-1]
    return row


def _end_tokens(subject: Subject) -> tuple[int, ...]:
    return end_tokens(getattr(subject.lm.generation_config, "eos_token_id", None))


def _pad(
    prompts: Sequence[Sequence[int]], rests: Sequence[Sequence[int]], pad: int
) -> tuple[torch.Tensor, int, torch.Tensor]:
    """Prompts padded on their left and continuations on their right, the width of the prompts, and the mask."""
    width, length = max(map(len, prompts)), max(map(len, rests))
    ids, mask = [], []
    for prompt, rest in zip(prompts, rests, strict=True):
        left, right = width - len(prompt), length - len(rest)
        ids.append([pad] * left + [*prompt, *rest] + [pad] * right)
        mask.append([0] * left + [1] * (len(prompt) + len(rest)) + [0] * right)
    return torch.tensor(ids), width, torch.tensor(mask)


def _decode(tokenizer: Any, block: Block, place: int, tokens: list[int]) -> str:
    """The prompt as it was written, and what follows it."""
    how = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    text: str = tokenizer.decode(tokens, **how)
    head: str = tokenizer.decode(list(block.tokens[place]), **how)
    # Some tokenizers do not give a prompt back to the letter.
    return block.prompts[place] + text[len(head) :] if text.startswith(head) else text


def _consistent(
    subject: Subject, block: Block, tokens: list[list[int]], texts: list[str], samples: int
) -> list[float | None]:
    """For each text the share of the texts coupled with it that are its images."""
    if block.neutral or not subject.coupled:
        return [None] * len(tokens)
    moved_back: list[list[Any]] = []
    for element, prompt in enumerate(block.prompts):
        rows = range(element * samples, (element + 1) * samples)
        if subject.words is not None:
            moved_back.append([subject.words.invert(element, texts[row], boundary=len(prompt)) for row in rows])
        else:
            ids = [torch.tensor(tokens[row], device=subject.action.device) for row in rows]
            moved_back.append([subject.action.invert(element, row).tolist() for row in ids])
    others = len(block.prompts) - 1
    return [
        (sum(other[sample] == own[sample] for other in moved_back) - 1) / others
        for own in moved_back
        for sample in range(samples)
    ]
