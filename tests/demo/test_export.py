"""The page as the folder of a Space."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest
from huggingface_hub import SpaceCard
from small_models import GENDER, base_model, tokenizer

import hf_equi
from hf_equi.demo.export import OLDEST_GRADIO, Space, export
from hf_equi.errors import ConfigurationError


def space(**changes) -> Space:
    model = changes.pop("model", "me/gpt2")
    options = {f"--{name.replace('_', '-')}": value for name, value in ({"group": "gender*race"} | changes).items()}
    return Space(model, "me/gpt2", options, "6.31.0")


def test_the_oldest_gradio_is_that_of_the_extra() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    (gradio,) = project["project"]["optional-dependencies"]["demo"]
    assert f"{gradio.partition('>=')[2].partition(',')[0]}.0" == OLDEST_GRADIO


def asked(folder: Path, monkeypatch) -> list[str]:
    """What the program asks the command line for."""
    calls: list[list[str]] = []
    monkeypatch.setattr("hf_equi.cli.main", lambda arguments: calls.append(arguments) or 0)
    with pytest.raises(SystemExit, match="0"):
        runpy.run_path(str(folder / "app.py"), run_name="__main__")
    return calls[0]


def test_a_model_of_the_hub_is_named(tmp_path, lm, monkeypatch) -> None:
    folder = tmp_path / "new" / "space"
    assert export(
        folder, space(method="mixture", scorer="me/regard", trust_remote_code=True, revision=None), lambda: lm
    ) == (
        "README.md",
        "app.py",
        "requirements.txt",
    )
    options = [
        "--model",
        "me/gpt2",
        "--group",
        "gender*race",
        "--method",
        "mixture",
        "--scorer",
        "me/regard",
        "--trust-remote-code",
    ]
    assert asked(folder, monkeypatch) == ["demo", *options]
    assert (folder / "requirements.txt").read_text() == f"hf_equi[demo]=={hf_equi.__version__}\n"
    card = SpaceCard.load(folder / "README.md")
    assert (card.data.sdk, card.data.sdk_version, card.data.app_file) == ("gradio", "6.31.0", "app.py")
    assert card.data.models == ["me/gpt2"]
    assert "the group man, woman" in card.text


def test_a_model_and_a_group_of_this_machine_go_along(tmp_path, lm, monkeypatch) -> None:
    folder = tmp_path / "space"
    assert {"group.json", "model/model.safetensors", "model/tokenizer.json"} <= {
        *export(folder, space(model=None, group="own.json"), lambda: lm)
    }
    arguments = asked(folder, monkeypatch)
    assert arguments == ["demo", "--model", str(folder / "model"), "--group", str(folder / "group.json")]
    from hf_equi.cli.groups import parse_group
    from hf_equi.cli.loading import load_lm

    again = load_lm(arguments[2], parse_group(arguments[4]), command="demo")
    assert (again.group, type(again)) == (GENDER, hf_equi.EquiLM)
    assert "models" not in SpaceCard.load(folder / "README.md").data.to_dict()


def test_a_saved_equilm_keeps_its_group_and_method(tmp_path, monkeypatch) -> None:
    mixture = hf_equi.symmetrize(base_model(), GENDER, "mixture", tokenizer=tokenizer())
    export(tmp_path / "space", space(model=None, group=None), lambda: mixture)
    assert asked(tmp_path / "space", monkeypatch) == ["demo", "--model", str(tmp_path / "space" / "model")]
    saved = hf_equi.EquiLM.from_pretrained(tmp_path / "space" / "model")
    assert (saved.group, saved.config.method) == (GENDER, "mixture")


def test_what_cannot_be_written_leaves_nothing(tmp_path, lm) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "app.py").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty"):
        export(tmp_path / "full", space(), lambda: pytest.fail("loaded"))
    search = hf_equi.symmetrize(
        base_model(), GENDER, "equizero", tokenizer=tokenizer(), scorer=lambda texts: [0.0] * len(texts)
    )
    with pytest.raises(ConfigurationError, match="saved without its scorer: pass one from the Hub with --scorer"):
        export(tmp_path / "space", space(model=None, group=None), lambda: search)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]
