"""Processes that tests start, of which most do little but import."""

from __future__ import annotations

import os
from pathlib import Path

STARTUP = Path(__file__).parent / "startup"
"""Holds what Python runs first in all of them, by `PYTHONPATH`, which tests/conftest.py sets."""


def environment(*paths: Path, **variables: str) -> dict[str, str]:
    """That of this process, with more places to import from, and with other variables."""
    python_path = os.pathsep.join([*map(str, paths), os.environ["PYTHONPATH"]])
    return {**os.environ, "PYTHONPATH": python_path, **variables}
