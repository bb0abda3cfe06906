"""Code that a checkpoint brings is not run, whatever stands on stdin."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_processors import image_processor
from small_vision import classifier

from hf_equi import ImageGroup, symmetrize

Trap = Callable[[str, str], Path]
BROUGHT = {
    "AutoConfig": "evil.Evil",
    "AutoModelForCausalLM": "evil.Evil",
    "AutoModelForSequenceClassification": "evil.Evil",
}
EDITS: dict[str, tuple[str, dict[str, Any]]] = {
    "config": ("config.json", {"model_type": "evil", "auto_map": BROUGHT}),
    "model": ("config.json", {"model_type": "t5", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}}),
    "tokenizer": (
        "tokenizer_config.json",
        {"tokenizer_class": "Evil", "auto_map": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}},
    ),
    "processor": (
        "preprocessor_config.json",
        {"image_processor_type": "Evil", "auto_map": {"AutoImageProcessor": "evil.Evil"}},
    ),
}

ASKED = {"generate": ("-p", "the man"), "audit": ("-p", "the man " * 200)}
"""The prompt of an audit is refused once all is loaded: it is too long."""


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trap:
    """A copy of a checkpoint that asks for code of its own, which leaves a mark where it runs; anyone asked agrees."""
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.chdir(tmp_path)  # where an audit that is not refused writes its folder

    def agree(*_: object) -> str:
        (tmp_path / "asked").touch()
        return "y"

    monkeypatch.setattr("builtins.input", agree)

    def make(folder: str, place: str) -> Path:
        path = tmp_path / "trap"
        shutil.copytree(folder, path)
        name, edit = EDITS[place]
        file = path / name
        file.write_text(json.dumps({**json.loads(file.read_text()), **edit}))
        (path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Evil: pass\n")
        return path

    return make


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A symmetrised classifier of images with its processor."""
    path = tmp_path_factory.mktemp("resnet")
    symmetrize(classifier("resnet-basic"), ImageGroup.rotations(4), processor=image_processor()).save_pretrained(path)
    return str(path)


def refused(tmp_path: Path, result: Any, *, status: int = 2) -> None:
    assert not (tmp_path / "asked").exists()
    assert not (tmp_path / "ran").exists()
    assert result.status == status
    assert result.err.count("hf-equi: error: ") == (status == 2)


@pytest.mark.parametrize("place", ["config", "model", "tokenizer"])
@pytest.mark.parametrize("command", ["generate", "inspect", "audit", "convert"])
def test_a_base_runs_no_code(run, trap, folder, tmp_path, command, place) -> None:
    path = trap(folder, place)
    named = (path, tmp_path / "out", "-g", "gender") if command == "convert" else ("-m", path)
    asked = ASKED.get(command, ())
    result = run(command, *named, *asked)
    refused(tmp_path, result, status=0 if (command, place) == ("inspect", "model") else result.status)
    if place == "config":
        assert str(path) in result.err
        assert "comes with its own code, which hf-equi does not run" in result.err
        assert "--trust-remote-code" in result.err


@pytest.mark.parametrize("command", ["generate", "inspect", "audit", "publish"])
def test_a_symmetrised_model_runs_no_code(run, trap, equi_folder, tmp_path, command) -> None:
    path = trap(equi_folder, "tokenizer")
    named = (path, "me/equi", "--dry-run") if command == "publish" else ("-m", path)
    asked = ASKED.get(command, ())
    refused(tmp_path, run(command, *named, *asked))


def test_a_processor_runs_no_code(run, trap, turned, tmp_path) -> None:
    refused(tmp_path, run("publish", trap(turned, "processor"), "me/equi", "--dry-run"), status=0)


@pytest.mark.parametrize("place", ["config", "tokenizer"])
def test_a_scorer_runs_no_code(run, trap, folder, tmp_path, place) -> None:
    path = trap(folder, place)
    refused(tmp_path, run("generate", "-p", "the man", "--method", "equizero", "--scorer", path))


@pytest.mark.parametrize("word", ["False", "no", "0"])
def test_what_is_not_true_lets_no_code_run(run, trap, folder, tmp_path, word) -> None:
    path = trap(folder, "config")
    refused(tmp_path, run("convert", path, tmp_path / "out", "-g", "gender", "--set", f"trust_remote_code={word}"))


@pytest.mark.parametrize(
    "command",
    [
        ("convert", "out", "-g", "gender", "--set", "trust_remote_code=true"),
        ("convert", "out", "-g", "gender", "--trust-remote-code"),
        ("generate", "-p", "the man", "--trust-remote-code"),
        ("inspect", "--trust-remote-code"),
    ],
    ids=" ".join,
)
def test_code_runs_where_that_is_asked_for(run, trap, folder, tmp_path, command) -> None:
    """By the options that say so, and without a question."""
    name, *options = command
    run(name, *((trap(folder, "config"),) if name == "convert" else ("-m", trap(folder, "config"))), *options)
    assert not (tmp_path / "asked").exists()
    assert (tmp_path / "ran").exists()
