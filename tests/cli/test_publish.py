"""From a folder on the command line to a repository on a hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import DEPRECATED, connected
from loopback_hub import LoopbackHub
from loopback_store import metadata

pytestmark = pytest.mark.filterwarnings(DEPRECATED)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    with LoopbackHub() as server, connected(server, tmp_path / "cache"):
        yield server


@pytest.fixture
def checkpoint(equi_folder: str, tmp_path: Path) -> Path:
    return Path(shutil.copytree(equi_folder, tmp_path / "equi"))


def test_it_uploads_the_folder_with_its_card(run, hub, checkpoint):
    result = run("publish", checkpoint, "me/equi", "--license", "mit", "--private", "--message", "The first")
    repository = hub.repositories["me/equi"]
    url = f"{hub.url}/me/equi/commit/{repository.branches['main']}"
    files = repository.files()
    listed = "".join(f"file\t{name}\n" for name in sorted({*files} - {".gitattributes"}))
    assert result == (0, f"{listed}published\t{url}\n", "")
    assert {"README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json"} <= {*files}
    assert metadata(files["README.md"].decode())["license"] == "mit"
    assert repository.private
    assert repository.commits[repository.branches["main"]].message == "The first"


def test_a_dry_run_shows_card_and_files_and_asks_for_nothing(run, hub, checkpoint):
    (checkpoint / "secrets.json").write_text("{}")
    before = sorted(path.name for path in checkpoint.iterdir())
    result = run("publish", checkpoint, "me/equi", "--dry-run")
    assert result.status == 0
    assert "file\tmodel.safetensors\nfile\ttokenizer.json" in result.out
    assert "\nleft out\tsecrets.json\nmissing\ta licence: pass --license NAME\nmissing\tthe figures" in result.out
    assert "\n---\n" in result.out
    assert 'from_pretrained("me/equi")' in result.out
    assert result.err == "hf-equi: note: nothing was uploaded to me/equi\n"
    shown = json.loads(run("publish", checkpoint, "me/equi", "--dry-run", "--json").out)
    assert (shown["url"], "README.md" in shown["files"], shown["card"][:4]) == (None, True, "---\n")
    assert shown["left_out"] == ["secrets.json"]
    assert len(shown["missing"]) == 2
    assert "a licence" not in run("publish", checkpoint, "me/equi", "--dry-run", "--license", "mit").out
    assert hub.repositories == {}
    assert not [path for method, path in hub.requests if method != "GET"]
    assert sorted(path.name for path in checkpoint.iterdir()) == before


def test_a_branch_and_a_pull_request(run, hub, checkpoint):
    (checkpoint / "secrets.json").write_text("{}")
    result = run("publish", checkpoint, "me/equi", "--revision", "next", "--json")
    branch = json.loads(result.out)
    assert result.err == f"hf-equi: note: uploading {', '.join(branch['files'])}\n"
    assert branch["left_out"] == ["secrets.json"]
    repository = hub.repositories["me/equi"]
    assert branch["url"].endswith(repository.branches["next"])
    assert repository.files("main") == {}
    assert run("publish", checkpoint, "me/equi", "--create-pr").status == 0
    assert {*repository.branches} == {"main", "next", "refs/pr/1"}
    assert repository.files("refs/pr/1").keys() == repository.files("next").keys()


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("missing", [], "does not exist: make one"),
        ("base", [], "is not symmetrised: convert it with hf-equi convert"),
        ("equi", ["--audit", "nowhere"], "nowhere"),
        ("linked", [], "config.json is a link to"),
    ],
)
def test_what_cannot_be_published_costs_one_line_and_makes_nothing(
    run, hub, checkpoint, folder, tmp_path, name, arguments, problem
):
    shutil.copytree(folder, tmp_path / "base")
    shutil.copytree(checkpoint, tmp_path / "linked")
    (tmp_path / "linked" / "config.json").unlink()
    (tmp_path / "linked" / "config.json").symlink_to(checkpoint / "config.json")
    result = run("publish", tmp_path / name, "me/equi", *arguments)
    assert (result.status, result.out) == (2, "")
    assert problem in result.err
    assert result.err.count("\n") == 1
    assert hub.repositories == {}


def test_the_list_is_shown_before_anything_is_sent(run, hub, checkpoint):
    with hub.interrupt("POST /api/models/.*/commit/"):
        result = run("publish", checkpoint, "me/equi")
    assert result.status == 2
    assert "file\tconfig.json\n" in result.out
    assert "published" not in result.out


def test_without_a_login_the_hub_says_no(run, hub, checkpoint, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    result = run("publish", checkpoint, "me/equi")
    assert (result.status, "published" in result.out) == (2, False)
    assert "failed: " in result.err
    assert "hf auth" in result.err
    assert hub.repositories == {}
