"""The benchmarks run; what they measure is not looked at here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / script), *arguments]
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(("script", "least"), [("causal_lm.py", 10), ("equizero.py", 4)])
def test_the_smoke_run_writes_a_page_with_every_claim(script: str, least: int, tmp_path: Path) -> None:
    output = tmp_path / "docs" / "benchmarks.md"
    result = run(script, "--smoke", "--threads", "1", "--output", str(output))
    assert result.returncode == 0, result.stderr
    rows = re.findall(r"^\| .* \| (?:met|missed|–) \|$", output.read_text(encoding="utf-8"), re.MULTILINE)
    claims = re.findall(r"^[\w-]+: [\d.]+ \(", result.stderr, re.MULTILINE)
    assert len(rows) == len(claims) >= least


def test_an_unknown_claim_is_refused() -> None:
    result = run("causal_lm.py", "--smoke", "--only", "nothing")
    assert result.returncode == 2
    assert "orbit-2" in result.stderr
