"""What `hf-equi audit` checks and says before a text is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def audits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The audits that would begin to draw; each stops there."""
    begun: list[Any] = []

    def stop(audit: Any, **_: object) -> None:
        begun.append(audit)
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_equi.cli.audit.Audit.run", stop)
    return begun


def test_prompts_without_a_place_are_told(run, folder, tmp_path, audits) -> None:
    alone = ("audit", "-m", folder, "--methods", "base", "--out", tmp_path / "audit", "-p", "the man said")
    result = run(*alone)
    assert (result.status, len(audits)) == (130, 1)
    assert "note: no prompt has the placeholder {demographic}, so nothing is compared" in result.err
    assert "nothing is compared" not in run(*alone[:-2], "-p", "the {demographic} said").err


def test_a_scorer_that_is_named_twice_scores_once(run, folder, tmp_path, audits) -> None:
    scorers = ("--scorer", "demo", "--scorer", "demo")
    assert run("audit", "-m", folder, "--methods", "base", "--out", tmp_path / "audit", *scorers).status == 130
    assert len(audits[0].scorers) == 1


def test_the_folder_is_named_after_group_and_seed_and_said(run, folder, tmp_path, monkeypatch, audits) -> None:
    monkeypatch.chdir(tmp_path)
    alone = ("audit", "-m", folder, "--methods", "base", "--seed", "5", "-p", "the {demographic} said")
    assert "note: the results go to audit-gender-5; --out names another folder" in run(*alone).err
    assert audits[0].out == Path("audit-gender-5")
    assert "the results go to" not in run(*alone, "--out", tmp_path / "audit").err
