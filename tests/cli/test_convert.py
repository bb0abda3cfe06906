"""From a base on the command line to a folder with a symmetrised model."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from small_models import GENDER, tokenizer
from small_vision import classifier, images
from transformers import AutoModelForCausalLM, AutoModelForImageClassification

import hf_equi
from hf_equi import DemographicGroup, ImageGroup
from hf_equi.bases.embedded import embedded_folder


@pytest.fixture
def group_file(tmp_path):
    path = tmp_path / "gender.json"
    path.write_text(GENDER.to_json())
    return path


def test_it_writes_what_symmetrize_makes(run, folder, group_file, tmp_path):
    out = tmp_path / "equi"
    result = run("convert", folder, out, "--group", group_file, "--method", "mixture")
    assert (result.status, result.err) == (0, "")
    lines = [line.split("\t") for line in result.out.splitlines()]
    assert lines[0] == ["wrote", str(out), "EquiLM"]
    assert lines[1][1].startswith(f'AutoModelForCausalLM.from_pretrained("{out}")')
    assert lines[2] == ["publish", f"hf-equi publish {out} USER/NAME"]
    loaded = AutoModelForCausalLM.from_pretrained(out)
    base = AutoModelForCausalLM.from_pretrained(folder)
    expected = hf_equi.symmetrize(base, GENDER, "mixture", tokenizer=tokenizer())
    ids = tokenizer()("The man worked as", return_tensors="pt")
    assert torch.equal(loaded(**ids).logits, expected(**ids).logits)


def test_json_lists_the_files(run, folder, group_file, tmp_path):
    result = run("convert", folder, tmp_path / "equi", "-g", group_file, "--license", "mit", "--json")
    found = json.loads(result.out)
    assert (found["class"], found["auto_class"]) == ("EquiLM", "AutoModelForCausalLM")
    assert (found["group_order"], found["stores_base"]) == (2, True)
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= {*found["files"]}
    assert "license: mit" in (tmp_path / "equi" / "README.md").read_text()


def test_images_with_a_setting_of_the_method(run, tmp_path):
    base, out = tmp_path / "base", tmp_path / "equi"
    classifier("resnet-basic").save_pretrained(base)
    result = run("convert", base, out, "-g", "rotations:4", "--method", "lambda", "--set", "lambda_units=3")
    assert result.status == 0
    assert result.err.startswith("hf-equi: note: the network of lambda means nothing before it is trained: train the")
    loaded = AutoModelForImageClassification.from_pretrained(out)
    assert (loaded.group, loaded.config.lambda_units) == (ImageGroup.rotations(4), 3)
    turned = loaded(images(2).rot90(1, (-2, -1))).logits
    assert torch.allclose(turned, loaded(images(2)).logits, atol=1e-5)


def test_a_scorer_of_this_machine_is_named_to_the_user_alone(run, folder, group_file, tmp_path):
    scorer, out = shutil.copytree(embedded_folder("demo_regard"), tmp_path / "regard"), tmp_path / "equi"
    result = run("convert", folder, out, "-g", group_file, "--method", "equizero", "--scorer", scorer)
    assert result.status == 0
    assert f"note: The scorer is the folder {scorer}" in result.err
    assert not [path for path in out.iterdir() if str(tmp_path).encode() in path.read_bytes()]


def test_words_that_are_not_one_token_are_noted(run, folder, tmp_path):
    path = tmp_path / "group.json"
    path.write_text((GENDER * DemographicGroup([["sportsman", "sportswoman"]])).to_json())
    result = run("convert", folder, tmp_path / "equi", "-g", path)
    assert result.status == 0
    assert "sportsman/sportswoman" in result.err
    composed = run("convert", folder, tmp_path / "composed", "-g", path, "--set", "multi_token=compose")
    assert (composed.status, "sportsman/sportswoman" in composed.err) == (0, False)
    assert "- sportsman/sportswoman" in (tmp_path / "composed" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "Missing option '--group'"),
        (
            ["-g", "agee"],
            r"preset='agee' is not known: did you mean 'age'.*\. Groups of images are rotations:4",
        ),
        (["-g", "rotations"], "rotations needs n after a colon: rotations:4"),
        (["-g", "rotations:0"], "n"),
        (["-g", "flips:sideways"], "'sideways'"),
        (["-g", "rotations:4"], "DemographicGroup"),
        (["-g", "{group}", "--method", "magic"], "method='magic' is not known to text generation: "),
        (["-g", "{group}", "--task", "clip"], "ImageGroup"),
        (["-g", "{group}", "--set", "level"], "--set 'level' is not a setting: write NAME=VALUE"),
        (["-g", "{group}", "--set", "level=spatial"], "level"),
        (["-g", "{group}", "--set", "save_base=false"], "--set 'save_base=false' cannot be set this way: see"),
        (["-g", "{group}", "--set", "model=3"], "--set 'model=3' cannot be set this way"),
        (["-g", "{group}", "--set", "config=3"], "--set 'config=3' cannot be set this way"),
        (["-g", "{group}", "--scorer", "./missing", "--method", "equizero"], "scorer './missing' could not be loaded"),
        (["-g", "{group}", "--no-base"], r"\(--no-base\) stores the base by its name and revision on the Hub"),
    ],
)
def test_what_does_not_fit_costs_one_line_and_writes_nothing(run, folder, group_file, tmp_path, arguments, problem):
    given = [argument.format(group=group_file) for argument in arguments]
    result = run("convert", folder, tmp_path / "equi", *given)
    assert (result.status, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert re.search(problem, result.err), result.err
    assert not (tmp_path / "equi").exists()


def test_an_output_that_cannot_be_written_is_named(run, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    result = run("convert", "demo", tmp_path / "note.txt" / "equi", "-g", "gender")
    assert (result.status, result.out) == (2, "")
    assert (
        f"The folder {tmp_path}/note.txt/equi cannot be written in {tmp_path}/note.txt (Not a directory)" in result.err
    )


def test_a_folder_that_is_there_is_left_alone(run, tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    result = run("convert", "demo", tmp_path, "-g", "gender")
    assert (result.status, result.out) == (2, "")
    assert "already exists and is not empty" in result.err
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]
