"""Several processes that run one command."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import typer

from hf_equi.cli.options import Loading
from hf_equi.cli.processes import of_process, one_voice
from hf_equi.errors import ConfigurationError


def test_processes_that_share_the_work_do_not_share_a_device() -> None:
    many, one = (SimpleNamespace(num_processes=count, device=torch.device("cuda:1")) for count in (2, 1))
    assert of_process(Loading(), many).device == "cuda:1"
    assert of_process(Loading(device="cpu"), many).device == "cpu"
    assert of_process(Loading(max_memory="cpu=1GiB"), one).device is None
    for options in (Loading(device="cuda"), Loading(max_memory="cpu=1GiB")):
        with pytest.raises(ConfigurationError, match="Each of the 2 processes has its own device"):
            of_process(options, many)


def test_one_process_reports_what_any_of_them_found(monkeypatch) -> None:
    found: list[str | None] = [None, "the file is missing"]
    monkeypatch.setattr("hf_equi.cli.processes.gather_object", lambda own: found)
    with (
        pytest.raises(ConfigurationError, match="the file is missing"),
        one_voice(SimpleNamespace(is_main_process=True)),
    ):
        pass
    other = SimpleNamespace(is_main_process=False, wait_for_everyone=lambda: None)
    with pytest.raises(typer.Exit), one_voice(other):
        raise ConfigurationError("the file is missing")
