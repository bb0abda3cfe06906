"""The check of results from stored weights: what its rows and its parts say, and what it asks for before it starts."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import machine
import reproduce
import text_reproduce
import weights
from reproduce_rows import RESULTS, Row

LARGEST = 20e6  # bytes of all weights


def test_a_row_says_whether_its_figures_agree() -> None:
    assert "agrees" in reproduce.show(Row("one", 75.3, 75.6, allowed=0.5))
    assert "DIFFERS by more than 0.5" in reproduce.show(Row("one", 75.3, 74.7, allowed=0.5))
    assert not Row("one", 75.3, float("nan"), allowed=0.5).met


def test_every_part_has_its_page_its_module_and_its_weights() -> None:
    for part in reproduce.PARTS.values():
        assert (RESULTS / part.page).is_file()
        assert callable(getattr(importlib.import_module(part.module), part.function))
        if weights.WEIGHTS.is_dir():  # a source distribution has none
            assert (weights.WEIGHTS / part.weights).is_dir()


def test_weights_are_small_and_have_cards() -> None:
    files = [path for path in weights.WEIGHTS.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= LARGEST
    for path in weights.WEIGHTS.rglob("*.safetensors"):
        assert (path.parent / "README.md").is_file(), f"{path.parent} has no card"


def test_differing_rows_and_missing_data_end_with_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce, "fix_arithmetic", lambda threads: None)
    monkeypatch.setattr(reproduce.logging, "set_verbosity_error", lambda: None)
    monkeypatch.setattr(reproduce.logging, "disable_progress_bar", lambda: None)
    monkeypatch.setattr(reproduce, "disable_progress_bars", lambda: None)
    monkeypatch.setattr(text_reproduce, "fairness", lambda data: iter([Row("made up", 1.0, 2.0, allowed=0.5)]))
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--data", str(tmp_path), "--only", "fairness"])
    assert reproduce.main() == 1
    assert "0 of 1 rows agree" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["reproduce.py", "--data", str(tmp_path), "--only", "scan"])
    with pytest.raises(SystemExit) as caught:
        reproduce.main()
    assert caught.value.code == 2
    assert "brendenlake/SCAN" in capsys.readouterr().err


def test_stated_figures_are_read_off_the_page() -> None:
    block = text_reproduce.block_of((RESULTS / "fairness.md").read_text(encoding="utf-8"))
    assert set(block) >= {"base", "EquiLM", "EquizeroLM"}
    cells = ("−0.081 (−0.100 to −0.061)", "3.9×10⁻⁷", "0.130 (0.084 to 0.170), p = 0.001", "8.240")
    assert [text_reproduce.read_number(cell) for cell in cells] == [-0.081, 3.9e-7, 0.130, 8.240]
    with pytest.raises(ValueError, match="does not begin with a number"):
        text_reproduce.read_number("–")


def test_weights_are_halved_on_disk_and_whole_in_memory(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = BertForSequenceClassification(BertConfig(vocab_size=9, hidden_size=8, num_attention_heads=2))
    before = model.classifier.weight.clone()
    card = weights.make_card("Title", "What.", "the command", "the data", "the figures")
    weights.keep_model(model, tmp_path / "model", card)
    weights.keep_network({"a": before}, tmp_path / "network.safetensors")
    found = BertForSequenceClassification.from_pretrained(tmp_path / "model")
    assert torch.equal(model.classifier.weight, before)
    assert found.classifier.weight.dtype == torch.float32
    assert torch.equal(found.classifier.weight, before.half().float())
    assert torch.equal(weights.load_network(tmp_path / "network.safetensors")["a"], before.half().float())
    assert "the command" in (tmp_path / "model" / "README.md").read_text(encoding="utf-8")


def test_records_say_which_machines_and_how_long() -> None:
    one = machine.machine()
    assert one["threads"] == torch.get_num_threads()
    records = [
        {"machine": one, "seconds": {"wall": 100, "cpu": 90}},
        {"machine": one, "seconds": {"wall": 80, "cpu": 70}},
    ]
    text = machine.describe([*records, {}])
    assert text.count(f"torch {torch.__version__}") == 1
    assert "3 minutes of CPU time, 3 minutes by the clock for 2 of 3 stages; the other stages ran before" in text
    clock = machine.Clock({"wall": 5, "cpu": 3})
    assert clock.seconds["wall"] >= 5
