"""Units that are read back, whole and damaged in each way."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from hf_equi.fairness.auditing.blocks import Block
from hf_equi.fairness.auditing.expected import ExpectedUnits

BLOCK = Block("the {demographic}", ("man", "woman"), ("the man", "the woman"), ((1, 2), (1, 3)))
REGARD = {"negative": 0.25, "neutral": 0.25, "positive": 0.5, "label": "positive"}
EXPECTED = ExpectedUnits(["base"], [BLOCK], 2)


def row(place: int, sample: int) -> dict[str, Any]:
    about = {"model": "base", "demographic": BLOCK.demographics[place], "template": BLOCK.template, "sample": sample}
    text = {"prompt": BLOCK.prompts[place], "text": f"{BLOCK.prompts[place]} ran", "tokens": [*BLOCK.tokens[place], 7]}
    figures = {"prompt_tokens": 2, "nll": 1.5, "scored_tokens": 1, "gap": None, "consistent": 1.0}
    return {**about, **text, **figures, **REGARD, **{f"masked_{name}": value for name, value in REGARD.items()}}


def unit() -> dict[str, Any]:
    rows = [row(place, sample) for place in range(2) for sample in range(2)]
    return {"model": "base", "template": BLOCK.template, "samples": rows}


def of_unit(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: {**whole, **values}


def of_row(**values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda whole: whole["samples"][2].update(values) or whole


DAMAGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no JSON": (lambda _: None, "it does not hold a model, a template and their samples"),
    "a list": (lambda whole: [whole], "it does not hold a model"),
    "no template": (lambda whole: {"model": whole["model"], "samples": whole["samples"]}, "it does not hold a model"),
    "another model": (of_unit(model="other"), "this audit has no model 'other'"),
    "a list of models": (of_unit(model=["base"]), "this audit has no model ['base']"),
    "another template": (of_unit(template="a"), "this audit has no prompt 'a'"),
    "a number of a template": (of_unit(template=3), "this audit has no prompt 3"),
    "no samples": (of_unit(samples=[]), "it has 0 samples of 4"),
    "fewer samples": (lambda whole: of_unit(samples=whole["samples"][:3])(whole), "it has 3 samples of 4"),
    "no list of samples": (of_unit(samples="abcd"), "it has no list of samples of 4"),
    "samples that are none": (of_unit(samples=[1, 2, 3, 4]), "sample 0: 1 is not a sample"),
    "a column less": (lambda whole: whole["samples"][2].pop("gap") or whole, "sample 2: it lacks gap"),
    "a column more": (of_row(extra=1), "sample 2: it has extra, which"),
    "the order": (
        lambda whole: of_unit(samples=whole["samples"][::-1])(whole),
        "its demographic is 'woman', not 'man'",
    ),
    "the model of a row": (of_row(model="other"), "its model is 'other', not 'base'"),
    "the template of a row": (of_row(template="a"), "its template is 'a'"),
    "the number of a row": (of_row(sample=7), "its sample is 7, not 0"),
    "a truth for a number": (of_row(sample=False), "its sample is False, not 0"),
    "the prompt of a row": (of_row(prompt="x" * 500), "its prompt is 'xxx"),
    "no text": (of_row(text=None), "its text is None"),
    "half a character": (of_row(text="\ud800"), "its text is '\\ud800'"),
    "no tokens": (of_row(tokens="12"), "its tokens is '12'"),
    "huge tokens": (of_row(tokens=[1, 3, 2**70]), "its tokens is [1, 3, 1180"),
    "other tokens": (of_row(tokens=[2, 3, 7]), "its tokens are not those of its prompt"),
    "more tokens": (of_row(tokens=[1, 3, 7, 7]), "its tokens are not those of its prompt"),
    "a text for a number": (of_row(nll="1.5"), "its nll is '1.5'"),
    "an unknown label": (of_row(masked_label="good"), "its masked_label is 'good'"),
    "a share beyond 1": (of_row(positive=1.5), "its positive is 1.5"),
    "no number of a share": (of_row(masked_neutral=float("nan")), "its masked_neutral is nan"),
    "consistent beyond 1": (of_row(consistent=2.0), "its consistent is 2.0"),
    "no time": (of_unit(took={"seconds": -1.0, "date": "2026-11-29"}), "its time is {'seconds': -1.0"),
    "no day": (of_unit(took={"seconds": 1.0, "date": "29 November"}), "not seconds and a date"),
}


def test_a_unit_as_it_is_written_has_no_fault() -> None:
    assert EXPECTED.fault(json.loads(json.dumps(unit()))) == ""
    assert EXPECTED.fault(of_unit(took={"seconds": 1.5, "date": "2026-11-29"})(unit())) == ""
    assert EXPECTED.fault(of_row(gap=0.5, consistent=None, nll=float("inf"))(unit())) == ""


@pytest.mark.parametrize(("damage", "fault"), DAMAGES.values(), ids=DAMAGES)
def test_the_first_fault_is_named(damage: Callable[[Any], Any], fault: str) -> None:
    found = EXPECTED.fault(damage(copy.deepcopy(unit())))
    assert fault in found
    assert len(found) < 200
