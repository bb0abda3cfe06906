"""The other way in that README names: the wheel, in a new environment, without the constraints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
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


def first_example() -> str:
    """README's, with the embedded model."""
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    assert code[1].count('"openai-community/gpt2"') == 1
    return code[1].replace("openai-community/gpt2", "demo")


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
    venv.create(tmp_path / "new", with_pip=True)
    python = tmp_path / "new" / ("Scripts" if os.name == "nt" else "bin") / "python"
    # Which build of torch it is, is the reader's choice, and gigabytes where a GPU is assumed: here that of this run.
    pip(python, "install", f"torch=={version('torch').partition('+')[0]}", folder=tmp_path)
    pip(python, "install", wheel, folder=tmp_path)
    found = run(python, "-m", "pip", "check", folder=tmp_path)
    assert found.returncode == 0, found.stdout
    done = run(python, "-W", "error::UserWarning", "-c", first_example(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    man, woman = re.findall(r"'(The (?:man|woman) worked as[^']*)'", done.stdout)
    assert man != woman
    assert re.sub(r"\bwoman\b", "man", re.sub(r"\bshe\b", "he", woman)) == re.sub(r"\bshe\b", "he", man)
