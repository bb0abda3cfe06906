"""A tiny model in a folder, and the command line run in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from small_models import BOTH, base_model, chat_tokenizer, tokenizer

import hf_equi
from hf_equi.cli import main


class Result(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Result]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A random GPT-2 with its tokenizer."""
    path = tmp_path_factory.mktemp("gpt2")
    base_model().save_pretrained(path)
    tokenizer().save_pretrained(path)
    return str(path)


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with a chat template."""
    path = tmp_path_factory.mktemp("chat")
    base_model().save_pretrained(path)
    chat_tokenizer().save_pretrained(path)
    return str(path)


@pytest.fixture(scope="session")
def equi_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same as an EquiLM of gender times race."""
    path = tmp_path_factory.mktemp("equi_lm")
    hf_equi.symmetrize(base_model(), BOTH, "mixture", tokenizer=tokenizer()).save_pretrained(path)
    return str(path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line with some arguments."""

    def call(*arguments: str | Path) -> Result:
        capsys.readouterr()
        return Result(main([str(argument) for argument in arguments]), *capsys.readouterr())

    return call
