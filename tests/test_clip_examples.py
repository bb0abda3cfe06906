"""The examples of CLIP, on images that a small one learns in seconds: no data needed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoProcessor, CLIPModel, ResNetConfig, ResNetModel
from transformers.models.clip import modeling_clip

sys.path.append(str(Path(__file__).parents[1] / "examples"))
import clip_data
import clip_reproduce
import clip_results
import clip_zero_shot
import pretrain_small_clip
import small_clip
from cifar import SIDE, CifarImages

PROMPTS = {"classes": ["red", "green", "sky blue", "grey"], "templates": ["a photo of a {} half.", "half is {}."]}
COLOURS = torch.tensor([[250.0, 60, 60], [60, 220, 60], [60, 60, 250], [190, 190, 190]])
# Sorted as text, as the folders are, they stand in another order than the prompts.
FOLDERS = ("Red", "the green", "Sky_Blue", "grey")


def draw(count: int, seed: int) -> CifarImages:
    """Images whose upper half has the colour of their class, in noise."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=generator)
    images = torch.rand(count, 3, SIDE, SIDE, generator=generator) * 60
    images[..., : SIDE // 2, :] += COLOURS[labels][..., None, None] * 0.75
    return CifarImages(images.to(torch.uint8), labels)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small CLIP in model/, prompts, and the images that it was trained and measured on as photos/SPLIT/CLASS."""
    folder = tmp_path_factory.mktemp("clip")
    (folder / "clip_prompts").mkdir()
    for path in (folder / "clip_prompts" / "cifar10.json", folder / "prompts.json"):
        path.write_text(json.dumps(PROMPTS), encoding="utf-8")
    parts = {"train": draw(160, 0), "validation": draw(20, 1), "test": draw(40, 2)}
    for split in ("train", "test"):
        for k, (image, label) in enumerate(zip(parts[split].images, parts[split].labels, strict=True)):
            path = folder / "photos" / split / FOLDERS[label] / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    few = {"num_train_epochs": 3, "per_device_train_batch_size": 16, "warmup_steps": 4, "save_strategy": "no"}
    pretrain_small_clip.pretrain(folder, parts, folder, 0, **few)
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the script on the images; its results."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")
    photos = {"--dataset": "imagefolder", "--data-dir": folder / "photos", "--prompts": folder / "prompts.json"}
    known = {"--data": folder, "--model": folder / "model", "--output": tmp_path / "runs", **photos}
    quick = {"--lambda-images": "32", "--lambda-steps": "2"}

    def run(*more: str, **changed: Any) -> dict[str, Any]:
        options = known | quick | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
        given = [str(part) for name, value in options.items() if value is not None for part in (name, value)]
        monkeypatch.setattr(sys, "argv", ["clip_zero_shot.py", *given, *more])
        clip_zero_shot.main()
        (path,) = (tmp_path / "runs").glob("*.json")
        return json.loads(path.read_text(encoding="utf-8"))

    return run


def test_table_and_page_are_made_of_a_trained_clip(
    run: Any, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = run("--seed", "3", "--seed", "4")
    trained = json.loads((folder / "model.json").read_text(encoding="utf-8"))["zero_shot_accuracy"]
    # The same images, found by the names of their folders, and judged by another rule than that of the training.
    assert results["upright"]["base"] == [pytest.approx(trained["upright"])]
    assert trained["upright"] > 90
    assert (results["dataset"], results["model"], results["images"], results["seeds"]) == (
        "photos",
        "model",
        40,
        [3, 4],
    )
    assert {name: len(values) for name, values in results["moved"].items()} == dict.fromkeys(clip_zero_shot.METHODS, 2)
    for name in ("equitune", "equizero", "equizero, by class (published)"):
        assert results["moved"][name][0] == results["moved"][name][1]  # whatever moves the images
    shown = capsys.readouterr().out
    assert re.search(rf"base, upright\W+{trained['upright']:.1f}\b", shown)
    assert "published" not in shown.lower().replace("by class (published)", "")
    assert not list((tmp_path / "runs").glob("*.unfinished"))

    page = tmp_path / "page.md"
    page.write_text(f"# By hand\n\n{clip_results.MARKER}\n\nold", encoding="utf-8")
    clip_results.write_page(page, tmp_path / "runs")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# By hand")
    assert "old" not in text
    assert "40 images; seeds 3, 4. Python " in text
    assert f"| base, upright | {trained['upright']:.1f} |" in text
    assert f"| λ-equitune | {clip_results.spread(results['moved']['λ-equitune'])} |" in text
    assert (tmp_path / "page" / "model-photos-rot90.png").read_bytes().startswith(b"\x89PNG")
    clip_results.write_page(page, tmp_path / "gone")
    assert page.read_text(encoding="utf-8") == text


def test_stored_weights_give_the_figures_of_the_page(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cifar10").mkdir()
    for split, images in (("train", draw(32, 3)), ("test", draw(40, 2))):
        pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images.images]
        rows = datasets.Dataset.from_dict({"img": pictures, "label": images.labels.tolist()})
        rows.to_parquet(str(tmp_path / "cifar10" / f"{split}.parquet"))
    (tmp_path / "clip_prompts").symlink_to(folder / "clip_prompts")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def run(module: Any, *options: str | Path) -> None:
        monkeypatch.setattr(sys, "argv", [module.__name__, "--data", str(tmp_path), *map(str, options)])
        module.main()

    output, weights, seed = tmp_path / "clip", tmp_path / "weights" / "clip", ("--seed", "0")
    known = ("--name", "small-clip", "--model", folder / "model", "--output", output, *seed)
    for transform in clip_zero_shot.GROUPS:
        quick = ("--transform", transform, "--lambda-images", "32", "--lambda-steps", "9")
        run(clip_zero_shot, *known, *quick)
    run(clip_zero_shot, "--output", output, "--keep", weights, *seed)
    pretrain_small_clip.keep(folder, weights / "small-clip", 0)
    monkeypatch.setattr(clip_reproduce, "WEIGHTS", weights.parent)
    monkeypatch.setattr(clip_reproduce, "RESULTS", tmp_path)
    found = list(clip_reproduce.rows(tmp_path))
    assert len(found) == 1 + 2 * len(clip_zero_shot.METHODS)
    assert all(row.met for row in found)
    for path in weights.glob("*.safetensors"):
        trained = load_file(output / path.name)
        assert all(torch.equal(kept, trained[name].half()) for name, kept in load_file(path).items())


def test_a_seed_replaces_only_itself() -> None:
    earlier = {**made_up("small", "photos"), "seeds": [0, 1], "upright": {"base": [1.0, 2.0]}}
    earlier["moved"] = {"base": [3.0, 4.0]}
    new = {**made_up("small", "photos"), "seeds": [1, 2], "upright": {"base": [5.0, 6.0]}}
    new |= {"moved": {"base": [7.0, 8.0]}, "runs": [{"seconds": 1}, {"seconds": 2}]}
    merged = clip_results.merge(earlier, new)
    assert (merged["seeds"], merged["upright"]["base"], merged["moved"]["base"]) == ([0, 1, 2], [1, 5, 6], [3, 7, 8])
    assert merged["runs"] == [{}, {"seconds": 1}, {"seconds": 2}]
    assert clip_results.merge(earlier, {**new, "images": 8})["seeds"] == [1, 2]


@pytest.mark.parametrize(
    ("transform", "elements"),
    [
        ("rot90", [lambda x, k=k: x.rot90(k, (-2, -1)) for k in range(4)]),
        ("flip", [lambda x, axes=axes: x.flip(axes) for axes in ([], [-1], [-2], [-2, -1])]),
    ],
)
def test_images_are_moved_each_by_itself(transform: str, elements: list[Any]) -> None:
    pixels = torch.rand(40, 3, 4, 4)
    images = datasets.Dataset.from_dict({"image": pixels.tolist(), "label": range(40)})
    processor = SimpleNamespace(image_processor=lambda rows, **_: {"pixel_values": torch.tensor(rows)})
    reader = SimpleNamespace(get_orbit_features=lambda moved: moved)
    found = clip_zero_shot.read_orbits(reader, processor, images, transform, 0, 20).features
    drawn = [
        [torch.equal(moved, element(image)) for element in elements]
        for moved, image in zip(found, pixels, strict=True)
    ]
    assert all(sum(row) == 1 for row in drawn)
    assert all(sum(rows) > 0 for rows in zip(*drawn[:20], strict=True))  # all elements in one batch
    again = clip_zero_shot.read_orbits(reader, processor, images, transform, 0, 7).features
    assert torch.equal(again, found)


def test_killed_run_goes_on_with_the_same_settings(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def dying(setting: clip_zero_shot.Setting, seed: int) -> dict[str, float]:
        seen.append(seed)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return {"base": 10.0 * seed}

    monkeypatch.setattr(clip_zero_shot.Setting, "moved", dying)
    monkeypatch.setattr(clip_zero_shot.Setting, "upright", lambda _: 70.0)
    monkeypatch.setattr(clip_zero_shot, "write_plot", lambda *_: None)
    seeds = ("--seed", "1", "--seed", "2")
    for limit, expected in ((8, [1, 2, 2]), (9, [1, 2, 1, 2])):
        seen.clear()  # what is finished is run anew
        with pytest.raises(KeyboardInterrupt):
            run(*seeds, limit=8)
        results = run(*seeds, limit=limit)
        assert seen == expected
        assert (results["seeds"], results["moved"]["base"]) == ([1, 2], [10.0, 20.0])
        assert (results["upright"]["base"], results["images"]) == ([70.0], limit)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"split": "validation"}, 'Unknown split "validation".* Pass --split NAME .*--lambda-images 0'),
        ({"training_split": "none"}, 'Unknown split "none".* Pass --split .*--lambda-images 0'),
        ({"split": "train"}, "trained on the images that are classified, .*--lambda-images 0"),
        ({"data_dir": "nowhere"}, "^imagefolder: .*nowhere"),
        ({"data_dir": None}, "needs --data-dir"),
        ({"image_column": "img"}, "no column img, only image, label: pass --image-column"),
        ({"prompts": "nothing.json"}, "^--prompts: the file nothing.json does not exist"),
        ({"prompts": "cifar100"}, "^--prompts: the file .*cifar100.json does not exist"),
        ({"model": "resnet"}, "^--model resnet: .*ResNetModel"),
        ({"model": "bare"}, "^--model bare: .*processor"),
    ],
)
def test_what_is_amiss_is_said_in_a_line(
    run: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if changed.get("model") == "resnet":
        sizes = {"embedding_size": 4, "hidden_sizes": [4], "depths": [1], "layer_type": "basic"}
        ResNetModel(ResNetConfig(**sizes)).save_pretrained("resnet")
        AutoProcessor.from_pretrained(folder / "model").save_pretrained("resnet")
    if changed.get("model") == "bare":
        CLIPModel.from_pretrained(folder / "model").save_pretrained("bare")
    with pytest.raises(SystemExit, match=said) as error:
        run("--seed", "0", **changed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("option", ["--limit", "--batch-size", "--lambda-steps"])
def test_nothing_is_no_count(run: Any, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(option, "0")
    assert f"argument {option}: '0' is not an integer of 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('["cat", "dog"]', "is not an object"),
        ('{"classes": ["cat", "dog"]}', "is not an object"),
        ('{"classes": "cat", "templates": ["a {}"]}', "is not an object"),
        ('{"classes": ["cat", 1], "templates": ["a {}"]}', "is not an object"),
        ('{"classes": ["cat"], "templates": ["a photo"]}', "'a photo' .* has no {} for the name"),
        ("cat", "is not JSON"),
    ],
)
def test_prompts_of_another_form_are_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "prompts.json").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit, match=f"^--prompts: .*{said}"):
        clip_data.load_prompts(str(tmp_path / "prompts.json"), tmp_path)


NUMBERS = sorted(map(str, range(12)))  # 0, 1, 10, 11, 2


@pytest.mark.parametrize(
    ("names", "classes", "order"),
    [
        (["cat", "dog"], ["dog", "cat"], [1, 0]),
        (["A_Lawn-mower", "the fox"], ["lawn mower", "fox"], [0, 1]),
        (NUMBERS, [f"class {k}" for k in range(12)], list(map(int, NUMBERS))),
        (["0", "1"], ["1", "0"], [1, 0]),  # names before numbers
        (["missile", "tub", "Missile"], ["missile", "tub", "missile"], [0, 1, 2]),
        (["couch", "cra", "crocodile"], ["couch", "crab", "crocodile"], [0, 1, 2]),
        (["hen", "tench, Tinca tinca"], ["hen", "tench"], [0, 1]),
        (["a", "b"], ["A", "B"], [0, 1]),
    ],
)
def test_labels_find_their_classes(names: list[str], classes: list[str], order: list[int]) -> None:
    assert list(clip_data.find_order(names, classes)) == order
    # The same of a data set: the labels, whether they are numbers of names or the names themselves.
    column = datasets.ClassLabel(names=names)
    numbered = datasets.Dataset.from_dict({"label": range(len(names))}, datasets.Features({"label": column}))
    assert clip_data.place_labels(numbered, classes, False) == order
    assert clip_data.place_labels(numbered, classes, True) == list(range(len(names)))
    if len({name.casefold() for name in names}) == len(names):
        written = datasets.Dataset.from_dict({"label": names})
        assert clip_data.place_labels(written, classes, False) == order


@pytest.mark.parametrize(
    ("names", "classes", "said"),
    [
        (["cat", "wolf"], ["cat", "dog"], "in 1 places: 'wolf' for 'dog'. Pass .*--labels-in-order"),
        (["boat", "car", "cat"], ["car", "cat", "ship"], "in 3 places: 'boat' for 'car'"),
        (["car", "carp"], ["carp", "car pool"], "'car' for 'carp', 'carp' for 'car pool'"),  # cut short, but elsewhere
        (["1", "2", "3"], ["x", "y", "z"], r"'1' for 'x', .*or numbers from 0 on"),
        (["missile", "tub", "Missile"], ["missile", "missile", "tub"], "in 2 places"),
        (["cat"], ["cat", "dog"], "1 classes and the prompts have 2"),
    ],
)
def test_labels_of_other_names_are_refused(names: list[str], classes: list[str], said: str) -> None:
    column = datasets.Features({"label": datasets.ClassLabel(names=names)})
    images = datasets.Dataset.from_dict({"label": range(len(names))}, column)
    with pytest.raises(SystemExit, match=said):
        clip_data.place_labels(images, classes, False)
    assert clip_data.place_labels(images, classes, True) == list(range(len(names)))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([0, -1, -1], "2 of 3 images have no label"),
        ([0, None, 1], "1 of 3 images have no label"),
        ([[0], [1]], r"A label is \[0\]"),
        ([0, 2], "3 classes and the prompts have 2"),
        ([0, 0], "1 classes and the prompts have 2"),
    ],
)
def test_labels_without_names_are_counted(labels: list[Any], said: str) -> None:
    assert clip_data.place_labels(datasets.Dataset.from_dict({"label": [1, 0]}), ["a", "b"], False) == [1, 0]
    with pytest.raises(SystemExit, match=said):
        clip_data.place_labels(datasets.Dataset.from_dict({"label": labels}), ["a", "b"], False)


def made_up(model: str, dataset: str, transform: str = "rot90", told: str | None = None) -> dict[str, Any]:
    moved = {name: [50.0] for name in clip_zero_shot.METHODS}
    about = {"model": model, "dataset": dataset, "transform": transform, "published": told}
    return {
        **about,
        "upright": {"base": [60.0]},
        "moved": moved,
        "images": 9,
        "seeds": [0],
    }


B32 = "openai/clip-vit-base-patch32"


@pytest.mark.parametrize(
    ("results", "figure"),
    [
        (made_up(B32, "uoft-cs/cifar100"), 54.88),
        (made_up("clip-vit-base-patch32", "vaishaal/ImageNetV2", "flip"), 52.69),
        (made_up("openai/clip-vit-base-patch16", "imagenetv2-matched-frequency"), 58.54),
        (made_up(B32, "my photos", told="imagenet-v2"), 51.27),
        (made_up(B32, "uoft-cs/cifar100", told="imagenet-v2"), 51.27),
        (made_up(B32, "my photos"), None),
        (made_up(B32, "imagenetv2-top-images"), None),
        (made_up("other/clip-vit-base-patch32", "uoft-cs/cifar100"), None),
        (made_up("openai/clip-vit-large-patch14", "uoft-cs/cifar100"), None),
    ],
)
def test_published_figures_are_found(results: dict[str, Any], figure: float | None) -> None:
    assert clip_results.published(results).get("equitune") == figure
    before = {name: value for name, value in results.items() if name != "published"}  # results of earlier versions
    if results["published"] is None:
        assert clip_results.published(before).get("equitune") == figure


@pytest.mark.parametrize(
    ("patch", "transform", "lambda_figure"), [("32", "rot90", "56.45"), ("16", "rot90", "61.95"), ("32", "flip", "")]
)
def test_published_figures_are_shown(
    patch: str, transform: str, lambda_figure: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = made_up(f"openai/clip-vit-base-patch{patch}", "uoft-cs/cifar100", transform)
    clip_results.print_table(results)
    shown = " ".join(capsys.readouterr().out.split())
    assert {"32": "65.02", "16": "68.25"}[patch] in shown
    assert ("half turn, drawn once a batch" in shown) is (transform == "flip")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "results.json").write_text(json.dumps(results), encoding="utf-8")
    clip_results.write_page(tmp_path / "page.md", tmp_path / "runs")
    page = (tmp_path / "page.md").read_text(encoding="utf-8")
    assert f"| λ-equitune | 50.0 | {lambda_figure} |" in page
    assert clip_results.PUBLISHED_MOVES[transform] in page


def test_captions_of_one_class_attract_each_other() -> None:
    scores = torch.randn(5, 5)
    distinct = pretrain_small_clip.matching_loss(scores, torch.arange(5))
    torch.testing.assert_close(distinct, modeling_clip.image_text_contrastive_loss(scores))
    # Where either caption of a class fits either of its images, and no other, nothing is left to learn.
    labels = torch.tensor([0, 0, 1, 2])
    sure = 50 * (labels[:, None] == labels).float()
    least = torch.tensor(2.0).log() / 2  # the entropy of the targets
    torch.testing.assert_close(pretrain_small_clip.matching_loss(sure, labels), least)
    exchanged = pretrain_small_clip.matching_loss(scores[:4, [1, 0, 2, 3]], labels)
    torch.testing.assert_close(exchanged, pretrain_small_clip.matching_loss(scores[:4, :4], labels))


def test_small_tokenizer_knows_the_words_of_its_captions_alone() -> None:
    tokenizer = small_clip.make_tokenizer(small_clip.captions(["Red", "green"], ["a photo of a {}."]))
    tokens = tokenizer.convert_ids_to_tokens(tokenizer("A photo, of a RED fox.").input_ids)
    start, unknown, end = small_clip.START, small_clip.UNKNOWN, small_clip.END
    assert tokens == [start, "a", "photo", unknown, "of", "a", "red", unknown, ".", end]
