"""The example of fair generation: what its page says of the command, the machine and the time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import data
import paper_fairness
from machine import machine


@pytest.mark.parametrize(
    ("folder", "part", "shown"),
    [
        ("/a/data", "/a/data", "DIR"),
        ("/a/data", "/a/data/model", "DIR/model"),
        ("/a/data", "--model=/a/data/model", "--model=DIR/model"),
        ("/a/data", "/a/data2/model", "model"),  # another folder, whose name begins alike
        ("/a/data", "--page=/b/page.md", "--page=page.md"),
        ("data", "docs/data.md", "docs/data.md"),
        ("data", "--data", "--data"),
        (".", "docs/page.md", "docs/page.md"),
        (None, "/b/model", "model"),
    ],
)
def test_the_page_shows_no_folder_of_the_machine(folder: str | None, part: str, shown: str) -> None:
    assert paper_fairness.shown(part, None if folder is None else Path(folder)) == shown


def test_each_audit_keeps_the_machine_that_ran_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def audit(*what: Any, out: Path, killed: bool = False) -> str:
        out.mkdir(parents=True, exist_ok=True)
        if killed:
            raise KeyboardInterrupt
        return "audited"

    monkeypatch.setattr(paper_fairness, "audit", audit)
    out = tmp_path / "demo" / "gender-respect"
    kept = out.with_name("gender-respect.json")
    with pytest.raises(KeyboardInterrupt):
        paper_fairness.run_block(out=out, killed=True)
    kept.write_text(json.dumps({"machine": {"processor": "another"}}), encoding="utf-8")
    with pytest.raises(SystemExit, match="another machine"):
        paper_fairness.run_block(out=out)
    kept.write_text(json.dumps({"machine": machine()}), encoding="utf-8")
    result, record = paper_fairness.run_block(out=out)
    assert (result, record["machine"], record["resumed"]) == ("audited", machine(), True)
    finished = {"machine": {"processor": "another"}, "seconds": {"wall": 7, "cpu": 5}}
    kept.write_text(json.dumps(finished), encoding="utf-8")
    assert paper_fairness.run_block(out=out) == ("audited", finished)
    kept.unlink()
    assert paper_fairness.run_block(out=out) == ("audited", {})  # by an earlier release
    _, record = paper_fairness.run_block(out=tmp_path / "new")
    assert set(record) == {"machine", "seconds"}


def test_a_missing_model_of_the_data_is_named_with_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        data.require_model("nowhere/stories260k_hf")
    assert "karpathy/llama2.c" in capsys.readouterr().err
