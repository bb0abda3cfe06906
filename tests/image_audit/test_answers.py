"""Answers of models, and how faulty ones are told that are read back."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_pictures import NAMES
from transformers import PreTrainedModel

from hf_equi import ImageGroup
from hf_equi.errors import ConfigurationError
from hf_equi.image_audit import read_pictures
from hf_equi.image_audit.answers import ExpectedAnswers, answer, chunk_name
from hf_equi.image_audit.pictures import load_picture
from hf_equi.image_audit.subjects import Subject
from hf_equi.image_audit.views import Viewer, make_views

VIEWS = make_views(ImageGroup.rotations(4))


def test_answers_are_those_of_one_picture_at_a_time(folder: Path, base: PreTrainedModel, processor: Any) -> None:
    pictures = read_pictures(folder, NAMES).pictures[:3]
    pixels = [Viewer(processor, VIEWS).pixels(load_picture(picture.path)) for picture in pictures]
    rows = answer(Subject("base", base, 1), pictures, pixels, VIEWS)
    for row, picture, views in zip(rows, pictures, pixels, strict=True):
        with torch.no_grad():
            logits = base(views).logits
        assert row["picture"] == picture.name
        assert row["answers"] == logits.argmax(-1).tolist()
        assert row["shares"] == pytest.approx(logits.softmax(-1).amax(-1).tolist(), abs=1e-5)
        assert row["difference"] == pytest.approx((logits[:4] - logits[0]).abs().max().item(), abs=1e-4)
    expected = ExpectedAnswers(["base"], [pictures], len(VIEWS), len(NAMES))
    assert expected.fault({"model": "base", "template": chunk_name(pictures), "samples": rows}) == ""


def test_a_damaged_model_is_refused(folder: Path, base: PreTrainedModel, processor: Any) -> None:
    pictures = read_pictures(folder, NAMES).pictures[:1]
    with pytest.raises(ConfigurationError, match="not finite"):
        answer(Subject("base", base, 1), pictures, [torch.full((5, 3, 32, 32), float("nan"))], VIEWS)


ROW = {"label": 0, "answers": [0] * 5, "shares": [0.5] * 5, "difference": 0.0, "seconds": 0.1}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"model": "other"}, "this audit has no model 'other'"),
        ({"template": "x.png"}, r"this audit has no pictures 'x\.png'"),
        ({"samples": []}, "the answers of 1 pictures"),
        ({"answers": [9] * 5}, "its answers are"),
        ({"answers": [0]}, "does not have 5 answers"),
        ({"shares": [2.0] * 5}, "its numbers are"),
        ({"difference": float("nan")}, "its numbers are"),
        ({"label": 1}, "it is of"),
        ({"more": 1}, "is not an answer"),
    ],
)
def test_a_faulty_unit_is_told(folder: Path, change: dict[str, Any], fault: str) -> None:
    pictures = read_pictures(folder, NAMES).pictures[:1]
    expected = ExpectedAnswers(["base"], [pictures], 5, len(NAMES))
    unit = {"model": "base", "template": chunk_name(pictures), "samples": [{**ROW, "picture": pictures[0].name}]}
    assert expected.fault(unit) == ""
    outside = {key: value for key, value in change.items() if key in unit}
    inside = {key: value for key, value in change.items() if key not in unit}
    damaged = {**unit, "samples": [{**unit["samples"][0], **inside}], **outside}
    assert re.search(fault, expected.fault(damaged))
    assert expected.fault("nothing")
