"""`hf-equi audit --images`: what it prints, and what it refuses by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_pictures import NAMES, write_pictures
from small_processors import image_processor
from small_vision import classifier
from transformers import ViTImageProcessorPil

from hf_equi import ImageGroup, symmetrize

METHODS = ("--methods", "base,equizero")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a classifier with names of classes."""
    path = tmp_path_factory.mktemp("classifier")
    base = classifier("resnet-basic")
    base.config.id2label = dict(NAMES)
    base.save_pretrained(path)
    image_processor().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Four pictures, and a file that is none."""
    path = tmp_path_factory.mktemp("pictures")
    write_pictures(path, 4)
    (path / "tench" / "9.png").write_text("not a picture")
    return path


def test_it_prints_figures_and_writes_a_report(run, model, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("audit", "-m", model, "--images", pictures, *METHODS)
    assert result.status == 0
    assert (
        "1 of the images cannot be read and are left out: tench/9.png (not an image in a known format)" in result.err
    )
    assert "8 answers in" in result.err
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert lines[0] == ["model", "figure", "value", "low", "high"]
    figures = {(line[0], line[1]): line[2:] for line in lines}
    assert figures["equizero", "verdict"][0] == "too few pictures to tell"  # though it answers alike
    assert figures["equizero", "consistency"] == ["1.000", "1.000", "1.000"]
    assert figures["base", "turned_gain"] == ["–", "–", "–"]
    assert [figures[model, "forwards"][0] for model in ("base", "equizero")] == ["1", "4"]
    assert Path(lines[-1][1]) == Path("audit-rotations-4-7/report.html")
    again = run("audit", "-m", model, "--images", pictures, *METHODS, "--json")
    assert "note: the results go to audit-rotations-4-7; --out names another folder" in again.err
    assert "note: all answers were given before; figures and report are made again" in again.err
    summary = json.loads(again.out)
    assert [entry["model"] for entry in summary["models"]] == ["base", "equizero"]
    assert summary["unreadable"] == [{"name": "tench/9.png", "reason": "not an image in a known format"}]
    assert summary["symmetric_processor"]


def test_a_saved_model_is_audited_by_its_own_group(run, pictures, tmp_path):
    base = classifier("resnet-basic")
    base.config.id2label = dict(NAMES)
    lopsided = ViTImageProcessorPil(size={"height": 32, "width": 16})
    symmetrize(base, ImageGroup.flips("horizontal"), "lambda", processor=lopsided).save_pretrained(tmp_path / "equi")
    table = tmp_path / "labels.csv"
    table.write_text("file,label\ntench/0.png,1\n")
    options = ("--methods", "base", "--out", tmp_path / "out", "--json")
    result = run("audit", "-m", tmp_path / "equi", "--images", pictures, "--labels", table, *options)
    assert "4 images of the folder are not named in --labels, and left out" in result.err
    summary = json.loads(result.out)
    assert [entry["model"] for entry in summary["models"]] == ["base", "this model (lambda)"]
    assert summary["views"] == ["upright", "horizontal"]
    other = ("--methods", "base", "--group", "flips:vertical", "--out", tmp_path / "other")
    noted = run("audit", "-m", tmp_path / "equi", "--images", pictures, "--labels", table, *other)
    assert "is equivariant to ImageGroup.flips('horizontal'), not to ImageGroup.flips('vertical'): only" in noted.err


def test_a_picture_beside_the_subfolders_is_named_as_such(run, model, pictures, tmp_path):
    folder = Path(shutil.copytree(pictures, tmp_path / "pictures"))
    shutil.copy(folder / "tench" / "0.png", folder / "loose.png")
    result = run("audit", "-m", model, "--images", folder, "--methods", "base", "--out", tmp_path / "out")
    assert "note: 1 image of the folder is in no subfolder, and left out" in result.err


def test_a_processor_that_breaks_the_symmetry_is_used_and_named(run, model, pictures, tmp_path):
    lopsided = Path(shutil.copytree(model, tmp_path / "copy"))
    ViTImageProcessorPil(size={"height": 32, "width": 16}).save_pretrained(lopsided)
    options = ("--group", "rotations:2", "--methods", "base", "--out", tmp_path / "out", "--json")
    result = run("audit", "-m", lopsided, "--images", pictures, *options)
    assert result.status == 0, result.err
    assert json.loads(result.out)["symmetric_processor"]  # half turns need no square
    result = run("audit", "-m", lopsided, "--images", pictures, "--group", "rotations:4", "--out", tmp_path / "other")
    assert "the processor is used as it is, so an exact model shows small differences too" in result.err
    assert "turns images onto their sides, so they must be square; received H = 32, W = 16" in result.err
    assert result.status == 2


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("--group", "gender"), "The group gender moves words, but --images needs a group that moves images"),
        (("--group", "spins:4"), "Groups of images are rotations:4"),
        (("-p", "The {demographic}", "--scorer", "demo"), "--prompt, --scorer: an audit of images has no texts"),
        (("--methods", "lambda"), "before it is trained"),
        (("--methods", ","), "names no method"),
        (("-m", "demo"), "The embedded model reads texts"),
    ],
)
def test_what_does_not_go_with_images_is_refused(run, model, pictures, arguments, fault):
    result = run("audit", "-m", model, "--images", pictures, *arguments)
    assert result.status == 2
    assert fault in result.err


def test_what_is_missing_is_named(run, model, pictures, folder, tmp_path):
    bare = Path(shutil.copytree(model, tmp_path / "bare"))
    (bare / "preprocessor_config.json").unlink()
    for arguments, fault in (
        (("-m", model, "--labels", pictures), "pass --images DIR with it"),
        (("-m", bare, "--images", pictures), "has no image processor"),
        (("-m", folder, "--images", pictures), "hf-equi audit --images audits image classifiers"),
        (("-m", model), "hf-equi audit --images DIR measures how it answers turned pictures"),
        (("-m", "./missing", "--images", tmp_path / "none"), "The image folder"),  # before models load
    ):
        result = run("audit", *arguments)
        assert (result.status, fault in result.err) == (2, True), result.err
