"""The examples of images: resuming, records of several machines, and stored weights, on images that are made up."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback, ViTConfig

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import cifar_bases
import vision_methods
import vision_records
import vision_reproduce
import vision_results
import vision_smoke
import vision_stages
import vision_weights
from cifar import SIDE, CifarImages
from data import write_json


@pytest.fixture
def parts() -> dict[str, CifarImages]:
    """A few images of noise."""
    images = torch.randint(0, 256, (64, 3, SIDE, SIDE), dtype=torch.uint8)
    return dict.fromkeys(("train", "validation", "test"), CifarImages(images, torch.randint(10, (64,))))


class Kill(TrainerCallback):
    """Kills the first training in its second epoch."""

    done = False

    def on_step_end(self, args: Any, state: Any, *_: Any, **__: Any) -> None:
        if state.global_step == 3 and not Kill.done:
            Kill.done = True
            raise KeyboardInterrupt


def test_resumed_training_ends_with_the_same_weights(
    parts: dict[str, CifarImages], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ViT's tensors are stored under other names than they have in memory."""
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    config = ViTConfig(image_size=SIDE, patch_size=16, **sizes, **cifar_bases.LABELS)
    few = {"num_train_epochs": 2, "per_device_train_batch_size": 32, "learning_rate": 1e-2, "warmup_steps": 0}
    monkeypatch.setitem(cifar_bases.RECIPES, "vit", cifar_bases.Recipe(config, few))
    cifar_bases.pretrain(parts, tmp_path / "whole", "vit", 0)

    trainer = cifar_bases.Trainer

    def killed(**settings: Any) -> Any:
        return trainer(**{**settings, "callbacks": [*settings["callbacks"], Kill()]})

    train = cifar_bases.train
    monkeypatch.setattr(cifar_bases, "train", lambda *given, **more: train(*given, killed, **more))
    with pytest.raises(KeyboardInterrupt):
        cifar_bases.pretrain(parts, tmp_path / "killed", "vit", 0)
    assert [path.name for path in (tmp_path / "killed" / "checkpoints").iterdir()] == ["checkpoint-2"]
    cifar_bases.pretrain(parts, tmp_path / "killed", "vit", 0)
    found, expected = (load_file(tmp_path / name / "base" / "model.safetensors") for name in ("killed", "whole"))
    assert len(expected) > 20
    assert all(torch.equal(found[name], weight) for name, weight in expected.items())


MACHINE = {"processor": "A", "kernels": "AVX2", "python": "3", "torch": "2", "transformers": "5", "threads": 1}


def write_stage(output: Path, moved: float, threads: int | None, stage: str = "zero_shot") -> vision_stages.Run:
    """Write the record of a stage, made up."""
    run = vision_stages.Run(output, output, "resnet", 0)
    run.folder.mkdir(parents=True, exist_ok=True)
    accuracy = {group: {"equitune": {"moved": moved, "weight_upright": 0.0}} for group in vision_stages.GROUPS}
    known = {"machine": {**MACHINE, "threads": threads}, "seconds": {"wall": 9, "cpu": 8}} if threads else {}
    write_json(run.folder / f"{stage}.json", {"upright": 80.0, "accuracy": accuracy, **known})
    return run


def test_page_shows_how_far_a_run_differs_between_machines(tmp_path: Path) -> None:
    page, output = tmp_path / "page.md", tmp_path / "runs"
    vision_results.write_page(page, [write_stage(output, 60.0, None)], "the command")
    assert "other machines" not in page.read_text(encoding="utf-8")
    run = write_stage(output, 61.5, 1)
    vision_results.write_page(page, [run], "the command", [write_stage(tmp_path / "two", 61.25, 2)])
    text = page.read_text(encoding="utf-8")
    assert "| ResNet | equitune | 61.5 (1 of 3 seeds) |" in text
    assert "threads: 1. 8 seconds of CPU time, 9 seconds by the clock." in text
    assert "| resnet/seed0 | zero_shot | a machine that was not recorded | 2 | 1.50 | 1.50 |" in text
    assert "threads: 2 | 2 | 0.25 | 0.25 |" in text
    # The stage of the spatial level has no accuracies to compare.
    spatial = {"spatial": {"checks": {}}}
    assert (
        list(vision_records.differences({"resnet/seed0": {**spatial, vision_records.OTHERS: {"two": spatial}}})) == []
    )
    # What has found only a part so far does not replace what is finished.
    (run.folder / "zero_shot.json").rename(run.folder / "zero_shot_part.json")
    write_stage(output, 0.0, 1, "zero_shot_part")
    vision_results.write_page(page, [run], "the command")
    assert page.read_text(encoding="utf-8") == text


def test_stored_weights_give_the_figures_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {
        name: how for name, how in vision_methods.FINETUNED.items() if name in vision_weights.KEPT["resnet"]["rot90"]
    }
    monkeypatch.setattr(vision_stages, "finetuned_by", lambda _: kept)
    run = vision_smoke.ShapesRun(tmp_path, tmp_path / "runs", "resnet", 0, vision_smoke.SIZES)
    vision_smoke.train_base(run)
    accuracy = {"upright": cifar_bases.accuracy(run.symmetrize("rot90").unwrap(), run.parts["test"])}
    write_json(run.folder / "base.json", {"parameters": 1, "accuracy": {"rot90": 0.0, "flip": 0.0, **accuracy}})
    for stage in ("zero_shot", "weights", "finetune_rot90"):
        run.finish(stage)
    vision_results.write_page(tmp_path / "vision.md", [run], "the command")
    vision_weights.keep([run], tmp_path / "weights" / "vision")

    monkeypatch.setattr(vision_reproduce.KeptRun, "parts", vision_smoke.ShapesRun.parts)
    small = partial(vision_reproduce.KeptRun, sizes=vision_smoke.SIZES)
    monkeypatch.setattr(vision_reproduce, "KeptRun", small)
    monkeypatch.setattr(vision_reproduce, "WEIGHTS", tmp_path / "weights")
    monkeypatch.setattr(vision_reproduce, "RESULTS", tmp_path)
    monkeypatch.setattr(vision_reproduce, "ARCHITECTURES", {"resnet": "ResNet"})
    found = list(vision_reproduce.rows(tmp_path))
    each = len(vision_methods.ZERO_SHOT) + len(vision_methods.WEIGHED)
    assert len(found) == 1 + 2 * each + len(kept) == 24
    assert len({row.stated for row in found}) > 5
    assert all(abs(row.obtained - row.stated) <= 1 for row in found)  # one of 100 images, by half precision
    card = (tmp_path / "weights" / "vision" / "README.md").read_text(encoding="utf-8")
    assert "- ResNet, finetuned, flip: none. Not here: " in card
    assert all((path.parent / "README.md").is_file() for path in tmp_path.glob("weights/**/*.safetensors"))
