"""The options that commands share."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from hf_equi.cli import options
from hf_equi.cli.app import app
from hf_equi.cli.options import GROUP, Drawn, Origin, grouped
from hf_equi.fairness.decoding import Decoding
from hf_equi.groups import preset_names
from hf_equi.image_audit.run import CHUNK


@pytest.mark.parametrize("name", ["me", "me/", "/equi", "me/equi/gpt2", ""])
def test_a_repository_is_named_with_its_owner(run, tmp_path, name) -> None:
    result = run("publish", tmp_path, name)
    assert (result.status, result.out) == (2, "")
    assert f"{name!r} is not a valid repository name: write USER/NAME, such as me/equi-gpt2" in result.err


def test_the_help_of_group_lists_all_presets() -> None:
    assert re.search(r"A preset \((.*?)\)", GROUP)[1].split(", ") == list(preset_names())


def test_the_help_of_an_audit_tells_how_many_images_are_read_at_once(run) -> None:
    assert f"of images {CHUNK})" in " ".join(run("audit", "--help").out.split())


def test_every_command_with_a_table_says_what_a_pipe_gets(run) -> None:
    for path in Path(options.__file__).parent.glob("*.py"):
        if "(console := terminal())" not in path.read_text(encoding="utf-8"):
            continue
        said = " ".join(run(path.stem.removeprefix("image_"), "--help").out.split())
        assert "A pipe or a file gets lines whose fields are separated by tabs. For programs, use --json" in said


def test_an_empty_path_is_not_the_working_directory(run) -> None:
    """As from a variable of the shell that is not set. Every option and argument with a path refuses it."""
    positional = {"convert": ("demo", ""), "publish": ("", "me/equi")}
    asked = []
    for name, command in typer.main.get_command(app).commands.items():
        for parameter in command.params:
            if parameter.metavar in ("FILE", "FOLDER", "DIR", "OUT"):
                option = max(parameter.opts, key=len)
                asked.append((name, option, "") if option.startswith("--") else (name, *positional[name]))
    assert len(asked) == 10
    for arguments in asked:
        result = run(*arguments)
        assert (result.status, result.out) == (2, "")
        assert "it is empty: write a path, or leave the option out" in result.err


def test_each_field_of_a_group_is_an_option_of_the_command() -> None:
    taken: list[Any] = []
    program = typer.Typer()

    @program.command()
    @grouped
    def load(name: str, origin: Origin, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        """Load it."""
        taken.extend([name, origin, loud])

    assert CliRunner().invoke(program, ["gpt2", "--revision", "v2", "--loud"]).exit_code == 0
    assert taken == ["gpt2", Origin("v2", False), True]
    assert "Load it." in CliRunner().invoke(program, ["--help"]).output


def test_the_options_of_drawing_are_what_decoding_takes() -> None:
    assert [(field.name, field.default) for field in fields(Drawn)] == [
        (field.name, field.default) for field in fields(Decoding)
    ]
