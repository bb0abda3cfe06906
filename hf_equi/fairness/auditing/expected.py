"""The expected units of an audit, to check the units that are read back from its folder."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from hf_equi.fairness.auditing.blocks import Block
from hf_equi.fairness.auditing.samples import sample_columns
from hf_equi.fairness.scales import REGARD, Scale

__all__ = ["ExpectedUnits"]

_OPTIONAL = ("gap", "consistent")
_WIDEST = 2**63
_DATE = re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])")


class ExpectedUnits:
    """The units of an audit, and what their samples must be.

    Args:
        models: The names of the models.
        blocks: The templates.
        samples: The number of texts for each prompt.
        scales: The scales of the scores.
    """

    def __init__(
        self, models: Sequence[str], blocks: Sequence[Block], samples: int, scales: Sequence[Scale] = (REGARD,)
    ) -> None:
        self.scales = tuple(scales)
        self.columns = sample_columns(scales)
        self.models = tuple(models)
        self.blocks = {block.template: block for block in blocks}
        self.samples = samples

    def fault(self, unit: object) -> str:
        """Return what is wrong with a unit that was read: `{"model": ..., "template": ..., "samples": [...]}`.

        Returns:
            The first fault in a few words; an empty text for a unit as `run_unit` makes it.
        """
        if not isinstance(unit, dict) or set(unit) - {"took"} != {"model", "template", "samples"}:
            return "it does not hold a model, a template and their samples"
        model, template, rows = unit["model"], unit["template"], unit["samples"]
        if model not in self.models:
            return f"this audit has no model {model!r}"
        if not isinstance(template, str) or template not in self.blocks:
            return f"this audit has no prompt {template!r}"
        return self._fault_of_samples(model, self.blocks[template], rows) or _fault_of_time(unit.get("took"))

    def _fault_of_samples(self, model: str, block: Block, rows: object) -> str:
        wanted = len(block.prompts) * self.samples
        if not isinstance(rows, list) or len(rows) != wanted:
            return f"it has {len(rows) if isinstance(rows, list) else 'no list of'} samples of {wanted}"
        for number, row in enumerate(rows):
            place, sample = divmod(number, self.samples)
            if fault := self._fault_of_row(row, self._known(model, block, place, sample), block.tokens[place]):
                return f"sample {number}: {fault}"
        return ""

    @staticmethod
    def _known(model: str, block: Block, place: int, sample: int) -> dict[str, Any]:
        """Return what is known of a sample before it is drawn."""
        return {
            "model": model,
            "demographic": block.demographics[place],
            "template": block.template,
            "sample": sample,
            "prompt": block.prompts[place],
            "prompt_tokens": len(block.tokens[place]),
        }

    def _fault_of_row(self, row: object, known: Mapping[str, Any], prompt: Sequence[int]) -> str:
        """Return the first fault. Later checks may rely on earlier ones."""
        if not isinstance(row, dict):
            return f"{row!r:.60} is not a sample"
        faults = (self._wrong_keys(row), _wrong_values(row, known), self._wrong_kinds(row), _wrong_tokens(row, prompt))
        return next(chain(*faults, self._wrong_scores(row)), "")

    def _wrong_keys(self, row: Mapping[str, Any]) -> Iterator[str]:
        if missing := [name for name in self.columns if name not in row]:
            yield f"it lacks {', '.join(missing)}"
        if unknown := [name for name in row if name not in self.columns]:
            yield f"it has {', '.join(unknown)}, which this audit does not write"

    def _wrong_kinds(self, row: Mapping[str, Any]) -> Iterator[str]:
        for name, kind in self.columns.items():
            if not (_IS[kind](row[name]) or (row[name] is None and name in _OPTIONAL)):
                yield f"its {name} is {row[name]!r:.60}"

    def _wrong_scores(self, row: Mapping[str, Any]) -> Iterator[str]:
        shares = ["consistent"]
        for scale in self.scales:
            for name, kind in scale.columns().items():
                if kind == "float64":
                    shares.append(name)
                elif row[name] not in scale.labels:
                    yield f"its {name} is {row[name]!r:.60}"
        for name in shares:
            if row[name] is not None and not 0 <= row[name] <= 1:
                yield f"its {name} is {row[name]}"


def _wrong_values(row: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    for name, value in known.items():
        if type(row[name]) is not type(value) or row[name] != value:
            yield f"its {name} is {row[name]!r:.60}, not {value!r:.60}"


def _wrong_tokens(row: Mapping[str, Any], prompt: Sequence[int]) -> Iterator[str]:
    if row["tokens"][: len(prompt)] != list(prompt) or len(row["tokens"]) != len(prompt) + row["scored_tokens"]:
        yield "its tokens are not those of its prompt followed by as many as scored_tokens says"


def _is_whole(value: object) -> bool:
    return type(value) is int and 0 <= value < _WIDEST


def _fault_of_time(took: object) -> str:
    """Return what is wrong with the time that a unit took. Earlier releases wrote none."""
    if took is None:
        return ""
    seconds, day = (took.get(name) for name in ("seconds", "date")) if isinstance(took, dict) else (None, None)
    right = type(seconds) is float and 0 <= seconds < math.inf and isinstance(day, str) and _DATE.fullmatch(day)
    return "" if right else f"its time is {took!r:.60}, not seconds and a date"


def _is_text(value: object) -> bool:
    """Whether a value is a text that can be written again. JSON can hold halves of characters."""
    return isinstance(value, str) and value.encode(errors="ignore").decode() == value


_IS: Mapping[str, Callable[[Any], bool]] = {
    "string": _is_text,
    "int64": _is_whole,
    "float64": lambda value: type(value) is float,
    "list": lambda value: isinstance(value, list) and all(map(_is_whole, value)),
}
"""Checks whether a value that was read has the type of its column."""
