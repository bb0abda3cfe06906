"""The processes that tests start behave as Python does, though they have imported what takes long."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import python_with_torch, python_with_transformers

PYTHONS = pytest.mark.parametrize(
    "python", [lambda: sys.executable, python_with_torch, python_with_transformers], ids=["plain", "torch", "hf"]
)
TELL = """
import json, os, sys
seen = {"argv": sys.argv[1:], "folder": os.getcwd(), "variable": os.environ.get("TOLD"), "name": __name__}
seen["own"] = [name for name in sys.modules if name.split(".")[0] in ("hf_equi", "pytest")]
seen["asked"] = sys.stdin.read()
print(json.dumps(seen))
print("said", file=sys.stderr)
sys.exit(7)
"""


@PYTHONS
@pytest.mark.parametrize("way", ["code", "script", "module"])
def test_streams_folder_environment_arguments_and_status(python, way, tmp_path: Path) -> None:
    (tmp_path / "tell.py").write_text(TELL, encoding="utf-8")
    start = {"code": ["-c", TELL], "script": [str(tmp_path / "tell.py")], "module": ["-m", "tell"]}[way]
    child = subprocess.run(
        [python(), "-W", "error", *start, "one", "-c"],
        input="question",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "TOLD": "this"},
        check=False,
    )
    assert (child.returncode, child.stderr) == (7, "said\n")
    assert json.loads(child.stdout) == {
        "argv": ["one", "-c"],
        "folder": str(tmp_path),
        "variable": "this",
        "name": "__main__",
        "own": [],
        "asked": "question",
    }


@PYTHONS
def test_errors_signals_and_output_at_the_end(python) -> None:
    def run(code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([python(), "-c", code], capture_output=True, text=True, check=False)

    failed = run("print('before'); raise ValueError('wrong')")
    assert (failed.returncode, failed.stdout) == (1, "before\n")
    assert failed.stderr.endswith("ValueError: wrong\n")
    assert run("import os; os.kill(os.getpid(), 9)").returncode == -signal.SIGKILL
    told = run("import sys; sys.exit('no')")
    assert (told.returncode, told.stderr) == (1, "no\n")
    late = "import atexit, threading; atexit.register(print, 2); threading.Timer(0.1, print, [1]).start()"
    assert run(late).stdout.split() == ["1", "2"]


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc, and elsewhere all start as Python does")
@PYTHONS
def test_a_child_ends_with_what_has_started_it(python, tmp_path: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    child = subprocess.Popen([python(), "-c", code], cwd=tmp_path)
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    own = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while Path(f"/proc/{own}").exists():
        assert time.monotonic() < end
        time.sleep(0.01)
