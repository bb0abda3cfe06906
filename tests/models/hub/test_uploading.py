"""What becomes of a repository; `tests/hub` asks the same of a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import HfApi

from hf_equi.errors import PublishingError
from hf_equi.models.hub.uploading import upload


def write(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


class Hub:
    """A hub that holds some files, and can refuse each step."""

    def __init__(self, files=(), fails=None):
        self.files, self.fails, self.calls = files, fails, []

    def step(self, name, *given, **named):
        self.calls.append((name, given, named))
        if name == self.fails:
            raise OSError(f"{name} was refused\nand more")

    def install(self, patch):
        patch.setattr(HfApi, "whoami", lambda api: {"name": "me"})
        patch.setattr(HfApi, "repo_exists", lambda api, repo: bool(self.files))
        patch.setattr(HfApi, "list_repo_files", lambda api, repo, revision: [*self.files])
        for name in ("create_repo", "create_branch", "create_commit"):
            patch.setattr(HfApi, name, lambda api, *a, name=name, **k: self.step(name, *a, **k))
        return self


def paths(hub):
    (_, (_, operations), _), *others = [call for call in hub.calls if call[0] == "create_commit"]
    assert not others
    return {(type(one).__name__.removeprefix("CommitOperation"), one.path_in_repo) for one in operations}


def test_one_commit_adds_all_and_takes_stale_weights_away(tmp_path, monkeypatch):
    write(tmp_path, "config.json", "model.safetensors")
    stale = ("model-00001-of-2.safetensors", "model.safetensors.index.json", "pytorch_model.bin")
    hub = Hub([*stale, "notes.txt", "model.safetensors", "old/model.safetensors"]).install(monkeypatch)
    upload(tmp_path, ["config.json", "model.safetensors"], "fair", revision="next")
    added = {("Add", "config.json"), ("Add", "model.safetensors")}
    assert paths(hub) == added | {("Delete", name) for name in stale}
    assert [call[0] for call in hub.calls] == ["create_branch", "create_commit"]
    assert hub.calls[-1][1][0] == "me/fair"
    assert hub.calls[-1][2]["revision"] == "next"


MAIN = (
    *("model-00001-of-2.safetensors", "model.safetensors.index.json", "consolidated.safetensors"),
    "pytorch_model.bin",
)
HALF = (
    *("model.fp16-00001-of-00002.safetensors", "model-00001-of-00002.fp16.safetensors"),
    *("model.safetensors.index.fp16.json", "pytorch_model.fp16.bin", "pytorch_model.bin.index.fp16.json"),
)
OTHERS = (
    *("training_args.bin", "a/model.safetensors", "model.fp8.safetensors", "safetensors.json"),
    *("v1.0/model.safetensors", "onnx.fp16/model.safetensors", "pytorch_model.v1/x.bin"),
    "model.safetensors.index.v1/x.json",
)


@pytest.mark.parametrize(
    ("weights", "stale"),
    [
        (["model.safetensors"], MAIN),
        (["model.fp16.safetensors"], HALF),
        ([], (*MAIN, *HALF, "model.fp8.safetensors")),  # named by the base
    ],
)
def test_weights_of_another_variant_stay(tmp_path, monkeypatch, weights, stale):
    write(tmp_path, "config.json", *weights)
    hub = Hub([*MAIN, *HALF, *OTHERS]).install(monkeypatch)
    upload(tmp_path, ["config.json", *weights], "me/fair")
    assert {name for kind, name in paths(hub) if kind == "Delete"} == {*stale}


@pytest.mark.parametrize(
    ("files", "fails", "state"),
    [
        ((), "create_repo", "Nothing was created on the Hub."),
        ((), "create_commit", "The new repository exists and is empty."),
        (("config.json",), "create_commit", "The repository is unchanged."),
    ],
)
def test_a_failure_says_what_it_left(tmp_path, monkeypatch, files, fails, state):
    write(tmp_path, "config.json")
    Hub(files, fails).install(monkeypatch)
    with pytest.raises(PublishingError, match=f"upload to me/fair .*: {fails} was refused {state} Run the same"):
        upload(Path(tmp_path), ["config.json"], "me/fair")
