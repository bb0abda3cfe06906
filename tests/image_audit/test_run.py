"""An audit of images: its figures, its folder, and how it continues."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from small_pictures import NAMES
from transformers import PreTrainedModel

from hf_equi import ImageGroup
from hf_equi.errors import ConfigurationError
from hf_equi.image_audit import ImageAudit, audit_images, make_models, read_pictures
from hf_equi.image_audit.verdicts import EXACT

GROUP = ImageGroup.rotations(4)
METHODS = ("base", "equitune", "equizero")


@pytest.fixture(scope="module")
def models(base: PreTrainedModel) -> dict[str, PreTrainedModel]:
    return make_models(base, GROUP, METHODS)


def without_times(answers: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        for name, rows in answers.items()
    }


def test_an_audit_that_stops_continues_with_the_same_answers(
    models: dict[str, PreTrainedModel], processor: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = read_pictures(folder, NAMES)
    whole = audit_images(models, processor, GROUP, pictures, batch_size=4)

    def stop(done: int, total: int) -> None:
        assert total == 3 * 6
        if done == 3 * 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audit_images(models, processor, GROUP, pictures, batch_size=4, out=tmp_path / "out", report=stop)
    result = audit_images(models, processor, GROUP, pictures, batch_size=4, out=tmp_path / "out")
    assert result.asked == 3 * 2
    assert without_times(result.answers) == without_times(whole.answers)
    base, *others = result.summary["models"]
    assert base["logit_difference"] > EXACT
    assert all(other["logit_difference"] < EXACT and other["consistency"] == 1 for other in others)
    assert result.report is not None
    page = result.report.read_text(encoding="utf-8")
    assert "○ too few pictures to tell" in page
    assert all(sentence in page for sentence in result.summary["briefing"])
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["pictures"] == 6
    with (tmp_path / "out" / "answers.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 6 * 5
    assert sum(
        line["right"] == "1" for line in lines if line["view"] == "upright" and line["model"] == "base"
    ) == round(6 * base["accuracy_upright"])
    monkeypatch.setattr("hf_equi.image_audit.run.answer", None)
    assert audit_images(models, processor, GROUP, pictures, batch_size=4, out=tmp_path / "out").asked == 0
    with pytest.raises(ConfigurationError, match=r"holds an audit with other settings \(models\)"):
        ImageAudit({"base": models["base"]}, processor, GROUP, pictures, tmp_path / "out", chunk=4)


def test_what_cannot_be_audited_is_refused_before_work_starts(
    models: dict[str, PreTrainedModel], processor: Any, folder: Path
) -> None:
    pictures = read_pictures(folder, NAMES)
    with pytest.raises(ConfigurationError, match="is not an ImageGroup"):
        ImageAudit(models, processor, None, pictures)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="is not an image processor"):
        ImageAudit(models, None, GROUP, pictures)
    with pytest.raises(ConfigurationError, match="batch_size=0 is not a number of pictures"):
        ImageAudit(models, processor, GROUP, pictures, chunk=0)


def test_a_model_in_half_precision_is_audited(base: PreTrainedModel, processor: Any, folder: Path) -> None:
    half = make_models(base, GROUP, ["base"])["base"].to(torch.bfloat16)
    try:
        assert audit_images({"half": half}, processor, GROUP, read_pictures(folder, NAMES)).asked == 6
    finally:
        half.to(torch.float32)
