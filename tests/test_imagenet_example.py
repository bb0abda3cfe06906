"""The example of ImageNet photos, on a few random pictures and a tiny MobileNetV2."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import MobileNetV2Config, MobileNetV2ForImageClassification, MobileNetV2ImageProcessorPil, set_seed

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import imagenet_canonical
import imagenet_pictures
import imagenet_results
from cifar import CifarImages
from imagenet_run import GROUPS, WHOLE, Experiment, Sizes, over_splits
from imagenet_stages import STAGES, finish

from hf_equi import PixelAction

PHOTOS = 8
SMALL = Sizes(splits=1, checked=2, batches=(2,), repeats=1, steps=2, small=64)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """All stages, on random pictures of three classes."""
    folder = tmp_path_factory.mktemp("imagenet")
    photos = folder / "data" / "imagenet_sample"
    photos.mkdir(parents=True)
    generator = np.random.default_rng(0)
    with (photos / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "label", "synset", "name"])
        for k in range(PHOTOS):
            Image.fromarray(generator.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(photos / f"{k}.png")
            rows.writerow([f"{k}.png", k % 3, "n0", "thing"])
    set_seed(0)
    config = MobileNetV2Config(num_labels=3, image_size=32, depth_multiplier=0.25, min_depth=8, tf_padding=False)
    MobileNetV2ForImageClassification(config).save_pretrained(folder / "model")
    sizes = {"size": {"shortest_edge": 40}, "crop_size": {"height": 32, "width": 32}}
    MobileNetV2ImageProcessorPil(**sizes).save_pretrained(folder / "model")
    run = Experiment(folder / "data", str(folder / "model"), folder / "runs", sizes=SMALL)
    (folder / "data" / "cifar10").mkdir()
    small = CifarImages(torch.randint(0, 256, (64, 3, 32, 32), dtype=torch.uint8), torch.randint(10, (64,)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imagenet_canonical, "load_cifar10", lambda *_, **__: {"train": small})
        for stage in STAGES:
            finish(run, stage)
    return run


@pytest.mark.parametrize("title", GROUPS)
def test_orbits_of_all_groups_come_from_one_pass(run: Experiment, title: str) -> None:
    group, moved = GROUPS[title], 5
    pixels = PixelAction(WHOLE).apply(moved, run.pixels(run.rows))
    with torch.no_grad():
        wanted = run.symmetrize("equitune, features", group).get_orbit_features(pixels)
    torch.testing.assert_close(run.orbits(group, moved), wanted, atol=1e-5, rtol=0)


def test_what_should_agree_does(run: Experiment) -> None:
    checks, zero = run.results("checks"), run.results("zero_shot")
    assert checks["turned_photo"] == 0
    assert checks["spatial_and_features"] < 1e-5
    for entries in zero["groups"].values():
        assert entries["equitune, features"] == entries["equitune, logits"]
    turned = [zero["positions"][name]["mean"] for name in GROUPS["turned"].names]
    assert zero["groups"]["turned"]["base"]["accuracy"]["mean"] == pytest.approx(sum(turned) / 4)


def test_a_canonicalizer_reads_one_view_and_answers_what_its_features_say(run: Experiment) -> None:
    own = run.results("canonical")
    assert own["forwards"] == {"base": 1, "equizero": 4, "energy": 5, "canonicalizer": 1}
    assert own["checked"] == {"photos": 2, "differing": 0, "turned_photo": own["checked"]["turned_photo"]}
    assert own["checked"]["turned_photo"] < 1e-5
    equizero = {name: own["turned"][name] for name in ("equizero", "equizero, entropy")}
    for name, entry in equizero.items():
        hits = imagenet_canonical.right(run, run.symmetrize(name, GROUPS["turned"]), run.orbits(GROUPS["turned"]))[0]
        assert entry["mean"] == over_splits(hits, imagenet_canonical.halves(run))["mean"]


def test_intervals_are_over_photos_that_were_tested() -> None:
    splits = [(torch.tensor([0, 1]), torch.tensor([2, 3])), (torch.tensor([1, 2]), torch.tensor([0, 3]))]
    found = over_splits(torch.tensor([[9.0, 9, 1, 0], [1, 9, 9, 0]]), splits)
    assert found["splits"] == [50, 50]
    assert found["interval"] == [0, 100]  # photo 1 was never tested


def test_page_shows_all_of_it_and_keeps_what_is_gone(
    run: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        imagenet_pictures, "PICTURES", {"mug": imagenet_pictures.mug, "balloon": imagenet_pictures.balloon}
    )
    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{imagenet_results.MARKER}\n\nold", encoding="utf-8")
    imagenet_results.write_page(page, run, "the command")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    titles = ("Without training", "Trained on half", "What should agree", "Images a second", "Pictures turned")
    for title in (*titles, "A canonicalizer, and the base once"):
        assert f"## {title}" in text
    base = imagenet_results.cell(run.results("zero_shot")["groups"]["turned"]["base"]["accuracy"])
    assert f"| turned (C4) | base | {base} |" in text
    for name in ("accuracies.png", "pictures.png"):
        assert (tmp_path / "page" / name).read_bytes().startswith(b"\x89PNG")
    gone = Experiment(run.data, run.model, tmp_path / "elsewhere")
    imagenet_results.write_page(page, gone, "the command")
    assert page.read_text(encoding="utf-8") == text
