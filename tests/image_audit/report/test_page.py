"""The page: hostile names stand there as text, and the most confused pictures come first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from small_pictures import NAMES
from transformers import PreTrainedModel

from hf_equi import ImageGroup
from hf_equi.image_audit import audit_images, make_models, read_pictures
from hf_equi.image_audit.pictures import PictureSet, Unreadable
from hf_equi.image_audit.report.page import most_confused
from hf_equi.image_audit.views import make_views


def test_names_of_files_and_classes_are_text(
    base: PreTrainedModel, processor: Any, folder: Path, tmp_path: Path
) -> None:
    found = read_pictures(folder, NAMES)
    pictures = PictureSet(found.pictures[:2], (Unreadable("<b>.png\x1b[2J", "damaged"),))
    result = audit_images({"<i>base": base}, processor, ImageGroup.rotations(4), pictures, out=tmp_path)
    assert result.report is not None
    page = result.report.read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<i>base" not in page
    assert "&lt;b&gt;.png\\x1b[2J: damaged" in page
    assert page.count("data:image/jpeg;base64,") == 2 * 5


def test_the_model_is_named_with_its_size(
    base: PreTrainedModel, processor: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base.config, "_name_or_path", "me/photos")
    pictures = PictureSet(read_pictures(folder, NAMES).pictures[:1])
    models = make_models(base, ImageGroup.dihedral(4), ["equizero"])
    result = audit_images(models, processor, ImageGroup.dihedral(4), pictures, out=tmp_path)
    assert result.summary["about"]["equizero"]["source"] == "me/photos"
    assert result.report is not None
    page = result.report.read_text(encoding="utf-8")
    assert "An audit of me/photos (0.1 million parameters): 1 model on 1 picture" in page
    assert '<body class="several">' in page  # nine columns are wider than a screen


def test_pictures_with_the_most_answers_come_first() -> None:
    views = make_views(ImageGroup.rotations(4))

    def row(answers: list[int], shares: list[float]) -> dict[str, Any]:
        return {"label": 0, "answers": [*answers, 3], "shares": [*shares, 1.0]}

    rows = [
        row([0, 0, 0, 0], [0.9] * 4),  # the mirror alone is not in the group
        row([0, 1, 0, 0], [0.9, 0.5, 0.9, 0.9]),
        row([0, 1, 0, 0], [0.9, 0.8, 0.9, 0.9]),
        row([0, 1, 2, 0], [0.4] * 4),
    ]
    assert most_confused(rows, views) == [3, 2, 1]
