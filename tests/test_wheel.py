"""The other way in that README names: the wheel, in a new environment, without the constraints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The test's own environment must not leak into the new one.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONWARNINGS"}}


def run(*command: object, folder: Path) -> subprocess.CompletedProcess[str]:
    words = list(map(str, command))
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, env=ENVIRONMENT, check=False)


def pip(python: object, *arguments: object, folder: Path) -> None:
    done = run(python, "-m", "pip", "--disable-pip-version-check", *arguments, "--quiet", folder=folder)
    assert done.returncode == 0, done.stderr


def first_example() -> tuple[str, str]:
    """README's, which takes the embedded model, and what it prints."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1], found[2]


@pytest.fixture
def _index(tmp_path):
    """Skips where no package index can be reached."""
    asked = run(sys.executable, "-m", "pip", "download", "--no-deps", "--dest", tmp_path, "six", folder=tmp_path)
    if asked.returncode:
        pytest.skip("no package index can be reached")


@pytest.mark.slow
@pytest.mark.index
@pytest.mark.usefixtures("_index")
def test_the_wheel_runs_the_first_example_in_a_new_environment(tmp_path):
    pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", tmp_path, ROOT, folder=tmp_path)
    (wheel,) = tmp_path.glob("hf_equi-*.whl")
    assert {"LICENSE", "NOTICE"} <= {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}
    venv.create(tmp_path / "new", with_pip=True)
    python = tmp_path / "new" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Which build of torch it is, is the reader's choice, and gigabytes where a GPU is assumed: here that of this run.
    pip(python, "install", f"torch=={version('torch').partition('+')[0]}", folder=tmp_path)
    pip(python, "install", wheel, folder=tmp_path)
    found = run(python, "-m", "pip", "check", folder=tmp_path)
    assert found.returncode == 0, found.stdout
    code, printed = first_example()
    done = run(python, "-W", "error::UserWarning", "-c", code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == printed
