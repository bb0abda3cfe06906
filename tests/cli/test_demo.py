"""`hf-equi demo`."""

from __future__ import annotations

import re
import socket
from importlib.metadata import PackageNotFoundError

import pytest
import small_seq2seq

from hf_equi.demo import page
from hf_equi.demo.export import OLDEST_GRADIO


@pytest.fixture
def _gradio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "version", lambda name: "6.31.0")


def test_without_the_extra_one_line_says_so(run, monkeypatch, tmp_path) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(page, "version", missing)
    result = run("demo", "-m", "./missing")
    assert (result.status, result.out) == (2, "")
    way_out = "pip install gradio (in a clone of hf_equi: pip install -e '.[demo]')"
    assert result.err == f"hf-equi: error: The page needs Gradio: {way_out}.\n"
    assert run("demo", "--export", tmp_path / "space").status == 0  # a folder is written without it
    assert f"sdk_version: {OLDEST_GRADIO}\n" in (tmp_path / "space" / "README.md").read_text()


@pytest.mark.usefixtures("_gradio")
def test_the_address_is_printed_and_ctrl_c_ends_it_in_a_line(run, equi_folder, monkeypatch) -> None:
    served = []

    def serve(self, port, share, started):
        served.append((self, port, share))
        started("http://127.0.0.1:8000/")
        raise KeyboardInterrupt

    monkeypatch.setattr(page.Page, "serve", serve)
    result = run("demo", "-m", equi_folder, "--port", "8000")
    assert (result.status, result.out) == (0, "serving\thttp://127.0.0.1:8000/\n")
    assert result.err.splitlines()[-1] == "hf-equi: note: stopped"
    [(shown, port, share)] = served
    assert (shown.models.group, shown.models.method, port, share) == ("the model's own", "mixture", 8000, False)
    assert shown.name.startswith("equi_lm")


@pytest.mark.usefixtures("_gradio")
def test_a_port_that_is_taken_is_said_before_the_model_is_loaded(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        result = run("demo", "-m", "./missing", "--port", str(port))
    assert result.err.startswith(f"hf-equi: error: --port {port} cannot be used: Address already in use. Name another")


@pytest.mark.usefixtures("_gradio")
def test_words_of_several_tokens_move_on_the_page(run, folder, tmp_path, monkeypatch) -> None:
    shown = []
    monkeypatch.setattr(page.Page, "serve", lambda self, *_: shown.append(self.models))
    asked = ("-m", folder, "-g", '[["old king", "queen"], ["he", "she"]]', "--multi-token", "compose")
    assert run("demo", *asked).status == 0
    [models] = shown
    assert models.first.action.composes
    assert models.get("gender", "equitune").config.multi_token == "compose"
    assert run("demo", *asked, "--export", tmp_path / "space").status == 0
    assert '"--multi-token", "compose"' in " ".join((tmp_path / "space" / "app.py").read_text().split())


@pytest.mark.usefixtures("_gradio")
def test_a_space_is_written_to_a_new_folder(run, folder, tmp_path) -> None:
    result = run("demo", "-m", folder, "-g", "race", "--export", tmp_path / "space")
    assert result.out.splitlines()[0] == f"wrote\t{tmp_path / 'space'}\tREADME.md, app.py, model/, requirements.txt"
    assert (tmp_path / "space" / "model" / "model.safetensors").is_file()


@pytest.mark.usefixtures("_gradio")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--export", "x", "--port", "1"), "--port and --share have no effect with --export"),
        (("--export", "x", "--scorer", "."), "--scorer . is a folder on this machine, which a Space does not have"),
        (("--export", __file__), "already exists and is not empty"),
        (("--port", "0"), "'--port': .* 1"),
        (("--method", "magic"), "magic"),
        (("--multi-token", "whole"), "use one of 'compose', 'skip'"),
        (("--multi-token", "compose", "--method", "mixture"), "has no effect with --method mixture"),
        (("--group", "nobody"), "preset='nobody' is not known"),
        (("--model", "./missing"), r"folder '\./missing' does not exist"),
    ],
)
def test_bad_arguments_cost_one_line(run, arguments, problem) -> None:
    result = run("demo", *arguments)
    assert (result.status, result.out, result.err.count("\n")) == (2, "", 1)
    assert re.search(problem, result.err)


@pytest.mark.usefixtures("_gradio")
def test_another_task_is_refused_by_what_it_is(run, tmp_path) -> None:
    small_seq2seq.fresh("t5").save_pretrained(tmp_path)
    result = run("demo", "-m", tmp_path)
    assert "hf-equi demo shows causal language models before and after" in result.err
