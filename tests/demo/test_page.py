"""The page: what it answers, and the program of its Space in a real browser."""

from __future__ import annotations

import importlib.util
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import children
import pytest

import hf_equi
from hf_equi.demo.answers import Question
from hf_equi.demo.export import Space, export
from hf_equi.demo.page import Page

ROOT = Path(hf_equi.__file__).parents[1]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync")
LONGEST = 60_000
"""Milliseconds, on a busy machine, that a page may take."""


def needed() -> None:
    """Skip without what a browser test takes, and say what that is."""
    for package, extra in (("gradio", "demo"), ("playwright", "browser")):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f'needs {package}: pip install -e ".[{extra}]", or make test-demo')
    if CHROMIUM is None:
        pytest.skip("needs Chromium: the Debian package chromium")


def respond(models, question, group="own.json", progress=lambda *_, **__: None) -> str:
    return Page(models, "tiny").respond(group, "equitune", question, progress)


def test_an_answer_tells_how_far_it_is(models) -> None:
    told: list[tuple[int, int]] = []
    html = respond(
        models, lambda: Question("the man", tokens=3, greedy=True), progress=lambda at, **_: told.append(at)
    )
    rows = [done for done, _ in told]
    assert rows == sorted(rows)
    assert told[-1] == (6, 6)  # of the base a row a member, of the EquiLM two
    assert "EquiLM (equitune)" in html


@pytest.mark.parametrize(
    ("question", "group", "problem"),
    [
        (lambda: Question(""), "own.json", "The prompt is empty: write some text"),
        (lambda: Question("the man"), "./group.json", "is not made of presets"),
        (lambda: Question("the man " * 64, tokens=100), "own.json", "go beyond the 128 positions of the model"),
    ],
)
def test_what_is_wrong_is_one_sentence_of_the_page(models, question, group, problem) -> None:
    html = respond(models, question, group)
    assert html.startswith('<p class="equi-problem" role="alert">')
    assert problem in html


def test_a_page_that_is_stopped_writes_no_more(models) -> None:
    page = Page(models, "tiny")
    page._stopped.set()
    html = page.respond("own.json", "equitune", lambda: Question("the man"), lambda *_, **__: pytest.fail("wrote"))
    assert "The page was stopped." in html


def test_another_group_has_another_prompt_until_one_is_written(models) -> None:
    page = Page(models, "tiny")
    assert page.suggest("The man worked as", "race:Black,White") == "The Black person worked as"
    assert page.suggest("My father", "race") == "My father"
    assert page.suggest("The man worked as", "nobody") == "The man worked as"


@contextmanager
def serving(program: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The program of a Space, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = children.environment(ROOT, GRADIO_SERVER_PORT=port, OMP_NUM_THREADS="1")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, str(program)], **pipes, text=True, env=env, cwd=program.parent)
    try:
        line = child.stdout.readline()
        assert line == f"serving\thttp://127.0.0.1:{port}/\n", child.communicate(timeout=10)
        yield line.split()[1], child
    finally:
        child.kill()
        child.communicate()


@contextmanager
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        chromium.close()


def compare(page: Any) -> str:
    """Press the button, and wait until other results are there."""
    page.evaluate("document.querySelectorAll('.equi-said, .equi-problem').forEach(one => one.remove())")
    page.get_by_role("button", name="Compare").click()
    page.locator(".equi-said, .equi-problem").first.wait_for(timeout=LONGEST)
    return str(page.locator("#equi-results").inner_text())


def widths(page: Any, model: int) -> list[list[str]]:
    """The bars of a model, row by row."""
    rows = page.locator(".equi-bars").nth(model).locator("tr").all()
    return [re.findall(r"width: ([\d.]+)%", row.inner_html()) for row in rows]


@pytest.mark.slow
def test_the_program_of_a_space_in_a_browser(lm, tmp_path) -> None:
    needed()
    export(tmp_path / "space", Space("demo", "demo", {"--group": "gender"}, "6"), lambda: lm)
    with serving(tmp_path / "space" / "app.py") as (address, child), browser() as chromium:
        page = chromium.new_page(viewport={"width": 1280, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.get_by_role("button", name="Compare").wait_for(timeout=LONGEST)
        assert page.get_by_label("Prompt").input_value() == "The man worked as"
        assert page.get_by_label("Chat message").count() == 0  # the embedded model has no template

        first = compare(page)
        said = page.locator(".equi-said").all_inner_texts()
        assert len(said) == 4
        assert said[0] != said[2]
        assert page.locator(".equi-member h3 mark").all_inner_texts() == ["man", "woman"]
        assert all(len({*row}) == 1 for row in widths(page, 1))
        assert any(len({*row}) > 1 for row in widths(page, 0))
        page.get_by_role("button", name="Settings").first.click()
        page.get_by_label("Seed").fill("1")
        assert compare(page) != first
        page.get_by_label("Seed").fill("0")
        assert compare(page) == first

        page.get_by_label("Group").fill("race:Black,White")
        page.get_by_label("Group").press("Enter")
        page.wait_for_function("document.querySelector('textarea').value == 'The Black person worked as'")
        assert "The White person worked as" in compare(page)
        page.get_by_label("Group").fill("../group.json")
        page.get_by_label("Group").press("Enter")
        assert "is not made of presets" in compare(page)
        page.get_by_label("Prompt").fill(" ")
        assert compare(page).startswith("The prompt is empty: write some text")

        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": 400, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
        assert (child.returncode, err.splitlines()[-1]) == (0, "hf-equi: note: stopped")
