"""The recipes of docs/vision_training.md run as they stand, with fewer steps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from small_training import NAMES, QUIET, rows, tokenizer
from small_vision import classifier, clip, images

from hf_equi.training import Phase

PAGE = Path(__file__).parents[2] / "docs" / "vision_training.md"


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_recipes_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    full = Phase.arguments

    def short(self, folder, **settings):
        return full(self, folder, **{**settings, **QUIET, "max_steps": 1})

    monkeypatch.setattr(Phase, "arguments", short)
    names = {"base": classifier("vit"), "clip": clip("clip"), "processor": tokenizer(), "data": rows()}
    names["pairs"] = [
        {"pixel_values": row["pixel_values"], "caption": f"a {name}"} for row, name in zip(rows(), NAMES, strict=True)
    ]
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        assert len([line for line in block.splitlines() if line and "import" not in line]) <= 10
        exec(compile(block, str(PAGE), "exec"), names)
    assert re.findall(r"^(lambda|end_to_end|pairs) \d", capsys.readouterr().out, flags=re.MULTILINE) == [
        "lambda",
        "end_to_end",
        "pairs",
    ]
    assert {path.parent.name for path in tmp_path.glob("*/model.safetensors")} == {"rotation-invariant", "adapted"}
    from hf_equi import EquiForImageClassification

    model = EquiForImageClassification.from_pretrained(tmp_path / "rotation-invariant")
    with torch.no_grad():
        turned, upright = (model(x).logits for x in (images(2).rot90(1, (2, 3)), images(2)))
    assert torch.allclose(turned, upright, atol=1e-5)
    assert {path.name for path in (tmp_path / "runs").iterdir()} <= {"lambda", "last_layers"}
