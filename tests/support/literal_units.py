"""The law of words of several tokens, as the sentences of docs/architecture.md define it: by enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import cache

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from hf_equi.actions import UnitAction

Units = tuple[int, ...]
Tokens = tuple[int, ...]


def toy_base(vocab_size: int, dtype: torch.dtype = torch.float64) -> PreTrainedModel:
    """A random model of which no two scores are close."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2
    )
    base = LlamaForCausalLM(config).eval().to(dtype)
    with torch.no_grad():
        for weight in base.parameters():
            weight.mul_(8 if weight.dim() > 1 else 1)
    return base


def log_probabilities(base: PreTrainedModel) -> Callable[[Tokens], list[float]]:
    """The base's log-probabilities of the next token after a text."""

    @cache
    def after(text: Tokens) -> list[float]:
        with torch.no_grad():
            scores: list[float] = base(torch.tensor([text])).logits[0, -1].double().log_softmax(-1).tolist()
        return scores

    return after


class LiteralUnits:
    """The law of units and that of tokens.

    Args:
        action: The group on units; only its tables are used.
        after: The base's log-probabilities after a text.
        average: `"logits"` or `"probabilities"`.
        look_ahead: The least probability from which on forms are looked at.
        share: What stands for the other tokens of a form elsewhere.
    """

    def __init__(
        self,
        action: UnitAction,
        after: Callable[[Tokens], list[float]],
        average: str = "logits",
        look_ahead: float = 0.0,
        share: float = 0.05,
    ) -> None:
        self.vocab_size = action.token_map.vocab_size
        self.forms = [tuple(form) for form in action.forms]
        self.images: list[list[int]] = action.permutations.tolist()
        self.units = self.vocab_size + len(self.forms)
        self.longest = max(map(len, self.forms))
        self.general = set() if action.general is None else set(action.general.nonzero().flatten().tolist())
        self.after, self.average, self.look_ahead, self.share = after, average, look_ahead, share
        self.law = cache(self._law)
        self.rest = list(itertools.product(range(self.vocab_size), repeat=self.longest - 1))
        self.weights = cache(self._weights)

    def tokens(self, unit: int) -> Tokens:
        return (unit,) if unit < self.vocab_size else self.forms[unit - self.vocab_size]

    def write(self, units: Units) -> Tokens:
        return tuple(token for unit in units for token in self.tokens(unit))

    def read(self, text: Tokens) -> Units:
        """From left to right, the longest form first."""
        units, place = [], 0
        while place < len(text):
            found = max((f for f in self.forms if text[place : place + len(f)] == f), key=len, default=None)
            units.append(text[place] if found is None else self.vocab_size + self.forms.index(found))
            place += 1 if found is None else len(found)
        return tuple(units)

    def move(self, g: int, units: Units) -> Units:
        return tuple(self.images[g][unit] for unit in units)

    def is_valid(self, units: Units) -> bool:
        return self.read(self.write(units)) == units

    def is_readable(self, units: Units) -> bool:
        return all(self.is_valid(self.move(g, units)) for g in range(len(self.images)))

    def probability(self, text: Tokens, start: int) -> float:
        """p(text[start:] | text[:start])."""
        return math.exp(sum(self.after(text[:place])[text[place]] for place in range(start, len(text))))

    def starts(self, units: Units) -> list[int]:
        return list(itertools.accumulate((len(self.tokens(unit)) for unit in units), initial=0))[:-1]

    def is_half_way(self, unit: int, units: Units) -> bool:
        """Whether a token goes on with a form that begins before it, without completing it."""
        if unit >= self.vocab_size or not self.is_valid((*units, unit)):
            return False
        text = (*self.write(units), unit)
        pairs = itertools.product(self.starts(units), self.forms)
        return any(
            len(form) > len(text) - start and form[: len(text) - start] == text[start:] for start, form in pairs
        )

    def survival(self, units: Units, unit: int, looked: Sequence[bool]) -> float:
        """The probability that what follows completes none of the forms that count over the units and the unit."""
        whole = (*units, unit)
        text, own = self.write(whole), len(self.write(units))

        pairs = itertools.product(self.starts(whole), enumerate(self.forms, self.vocab_size))
        longer = [
            form[len(text) - start :]
            for start, (number, form) in pairs
            if form[: len(text) - start] == text[start:] != form
            and (len(self.tokens(unit)) > 1 or looked[number if start == own else unit])
        ]
        if not longer:
            return 1.0
        survivors = (more for more in self.rest if not any(more[: len(form)] == form for form in longer))
        return sum(self.probability(text + more, len(text)) for more in survivors)

    def of_row(self, units: Units, looked: Sequence[bool], begun: Sequence[bool]) -> dict[int, float]:
        """The base's law of all units that may follow."""
        text, found = self.write(units), {}
        for unit in filter(lambda each: self.is_valid((*units, each)), range(self.units)):
            written = self.tokens(unit)
            if len(written) > 1 and not looked[unit]:
                part = written[: 2 if begun[unit] else 1]
                left = 1.0 if part == written else self.share
                found[unit] = left * self.probability(text + part, len(text))
            else:
                found[unit] = self.probability(text + written, len(text)) * self.survival(units, unit, looked)
        total = sum(found.values())
        return {unit: value / total for unit, value in found.items()}

    def mean(self, values: Sequence[float]) -> float:
        if self.average == "probabilities":
            return sum(values) / len(values)
        return math.exp(sum(map(math.log, values)) / len(values)) if min(values) > 0 else 0.0

    def _law(self, units: Units) -> dict[int, float]:
        """P_G of all units that may follow."""
        moves = self.is_readable(units)
        members = [self.move(g, units) if moves else units for g in range(len(self.images))]
        looked, begun = [], []
        for unit in range(self.units):
            images = [table[unit] for table in self.images]
            asks = any(len(self.tokens(v)) > 1 or self.is_half_way(v, h) for v, h in zip(images, members, strict=True))
            pairs = [(self.write(h), self.tokens(v)) for v, h in zip(images, members, strict=True)]
            first, two = (
                self.mean([self.probability(text + written[:size], len(text)) for text, written in pairs])
                for size in (1, 2)
            )
            begun.append(asks and self.look_ahead < 1 and first >= self.look_ahead)
            looked.append(begun[-1] and two >= self.look_ahead)
        rows = []
        for table, member in zip(self.images, members, strict=True):
            back = sorted(range(self.units), key=table.__getitem__)
            rows.append(self.of_row(member, [looked[unit] for unit in back], [begun[unit] for unit in back]))
        found = {}
        for unit in range(self.units):
            pairs = [(row, table[unit]) for row, table in zip(rows, self.images, strict=True)]
            if all(image in row for row, image in pairs):
                values = [row[image] for row, image in pairs]
                found[unit] = values[0] if unit in self.general else self.mean(values)
        total = sum(found.values())
        return {unit: value / total for unit, value in found.items()}

    def _weights(self, text: Tokens) -> tuple[float, dict[tuple[int, int], float]]:
        """The weight of the closed reading, and of each form with the number of its tokens that are read."""
        forms = range(self.vocab_size, self.units)
        if len(text) == 1:
            everything = [True] * self.units
            opened = {
                (f, 1): self.probability(self.tokens(f), 1) * self.survival((), f, everything)
                for f in forms
                if self.tokens(f)[0] == text[0]
            }
            return self.survival((), text[0], everything), opened
        closed, before = self.weights(text[:-1])
        law, token = self.law(self.read(text[:-1])), text[-1]
        new = {(f, 1): closed * p for f, p in law.items() if len(self.tokens(f)) > 1 and self.tokens(f)[0] == token}
        total = closed * law.get(token, 0.0)
        for (form, read), weight in before.items():
            if self.tokens(form)[read] == token and read + 1 == len(self.tokens(form)):
                total += weight
            elif self.tokens(form)[read] == token:
                new[form, read + 1] = weight
        return (total, new) if total + sum(new.values()) > 0 else (1.0, {})

    def next_tokens(self, text: Tokens) -> list[float]:
        """P(t | text) of all tokens."""
        closed, opened = self.weights(text)
        found = [0.0] * self.vocab_size
        for unit, p in self.law(self.read(text)).items():
            found[self.tokens(unit)[0]] += closed * p
        for (form, read), weight in opened.items():
            found[self.tokens(form)[read]] += weight
        total = closed + sum(opened.values())
        return [value / total for value in found]
