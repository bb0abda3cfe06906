"""The cards under `model_cards/` are what the command writes."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import ModelCard

from hf_equi.bases.embedded import embedded_folder
from hf_equi.hub import demo_cards as module

ROOT = Path(__file__).parents[2]


def test_the_cards_are_those_that_the_command_writes(tmp_path, monkeypatch):
    assets = tmp_path / "assets"
    for name in module._TRAINED:  # so that the command of the test writes nothing beside the weights
        (assets / name).mkdir(parents=True)
        for file in ("config.json", "training.json", "model.safetensors"):
            (assets / name / file).symlink_to(embedded_folder(name) / file)
    monkeypatch.setattr(module, "_ASSETS", assets)
    module.main([str(tmp_path / "cards")])
    written = {path.name: path.read_bytes() for path in (tmp_path / "cards").iterdir()}
    kept = {path.name: path.read_bytes() for path in (ROOT / "model_cards").iterdir()}
    assert written == kept, "run python -m hf_equi.hub.demo_cards model_cards"
    for name in module._TRAINED:
        assert (embedded_folder(name) / "README.md").read_bytes() == kept[f"{name}.md"]
        assert (assets / name / "README.md").read_bytes() == kept[f"{name}.md"]
    for text in kept.values():
        assert ModelCard(text.decode()).data.license == "apache-2.0"
