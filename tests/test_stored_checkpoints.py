"""Checkpoints that were saved with other releases of transformers, and by older versions of this library, load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import stored_checkpoints
import torch
import transformers

import hf_equi

FOLDER = Path(__file__).parent / "data" / "checkpoints"
STORED = [(release.name, path.name) for release in sorted(FOLDER.iterdir()) for path in sorted(release.iterdir())]


def load(folder):
    kind = json.loads((folder / "config.json").read_text())["architectures"][0]
    model_class = getattr(hf_equi, kind)
    model, report = model_class.from_pretrained(folder, output_loading_info=True)
    assert not any(report[name] for name in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return model.eval()


def test_releases_on_both_sides_of_the_renamed_cache_are_stored():
    assert {release for release, _ in STORED} == {"transformers-5.23", "transformers-5.24"}
    for release in {release for release, _ in STORED}:
        assert {name for other, name in STORED if other == release} == set(stored_checkpoints.CHECKPOINTS)
        config = json.loads((FOLDER / release / "equi_lm" / "config.json").read_text())
        assert config["transformers_version"].startswith(release.removeprefix("transformers-"))


@pytest.mark.filterwarnings("ignore:The text holds words of the group")  # "he" begins a stored one, and stays there
@pytest.mark.parametrize(("release", "name"), STORED)
def test_it_loads_and_says_what_it_said(release, name, tmp_path):
    folder = FOLDER / release / name
    inputs, said = stored_checkpoints.expected(folder)
    model = load(folder)
    again = stored_checkpoints.answers(model, inputs)
    torch.testing.assert_close(again["scores"], said["scores"], atol=1e-5, rtol=1e-5)
    assert "texts" not in said or torch.equal(again["texts"], said["texts"])
    model.save_pretrained(tmp_path)
    assert torch.equal(stored_checkpoints.answers(load(tmp_path), inputs)["scores"], again["scores"])
    assert json.loads((tmp_path / "config.json").read_text())["transformers_version"] == transformers.__version__
