"""Which releases were tested, and the one line about others."""

from __future__ import annotations

import re
import subprocess
import warnings
from importlib.metadata import version

import pytest
from children import python_with_torch

from hf_equi.bases import versions
from hf_equi.bases.versions import untested, warn_of_untested
from hf_equi.errors import HfEquiWarning


def test_a_release_outside_of_the_range_is_named_with_the_range():
    found = untested(["torch<1", "numpy>=1", "a-package-that-is-not-there<1"])
    assert list(found) == [f"torch {version('torch')}"]
    assert str(found[f"torch {version('torch')}"]) == "torch<1"


def test_what_an_extra_needs_does_not_count():
    assert untested(['numpy<1; extra == "vision"', 'numpy<1; python_version < "3"']) == {}


def test_own_requirements_are_those_of_the_package():
    names = {re.split("[<>=]", requirement)[0].replace("-", "_") for requirement in versions._own()}
    assert {"transformers", "torch", "peft", "accelerate", "datasets", "huggingface_hub", "tokenizers"} <= names


def test_the_warning_is_one_line_and_says_the_way_out(monkeypatch):
    monkeypatch.setattr(versions, "_own", lambda: ["transformers>=99,<100", "numpy>=1"])
    with pytest.warns(HfEquiWarning) as caught:
        warn_of_untested()
    (message,) = [str(one.message) for one in caught]
    assert "\n" not in message
    assert f"not tested with transformers {version('transformers')}" in message
    assert 'pip install "transformers>=99,<100"' in message
    monkeypatch.setattr(versions, "_own", lambda: ["numpy>=1"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_untested()


def test_the_first_use_says_it_once_and_goes_on():
    code = """
import importlib.metadata
importlib.metadata.requires = lambda name: ["transformers<1"]
import warnings, hf_equi
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    group = hf_equi.DemographicGroup([["man", "woman"]])
    hf_equi.symmetrize("demo", group)
    hf_equi.symmetrize("demo", group)
print(sum("was not tested with transformers" in str(one.message) for one in caught))
"""
    child = subprocess.run([python_with_torch(), "-c", code], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    assert child.stdout.strip() == "1"


def test_it_is_one_line_on_a_terminal_and_a_note_of_the_command_line():
    patch = 'import importlib.metadata; importlib.metadata.requires = lambda name: ["transformers<1"]; '
    said = f"hf_equi was not tested with transformers {version('transformers')}. If something fails, install"
    for code, start in (
        ("import hf_equi.bases", "hf_equi:0: HfEquiWarning: "),
        ("from hf_equi.cli import main; main(['--version'])", "hf-equi: note: "),
    ):
        child = subprocess.run([python_with_torch(), "-c", patch + code], capture_output=True, text=True, check=False)
        assert child.returncode == 0
        assert child.stderr.count("\n") == 1
        assert child.stderr.startswith(start + said)
