"""Loading metrics by their path, into a module cache of the test run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import evaluate
import pytest

import hf_equi.fairness.metrics

FOLDER = Path(hf_equi.fairness.metrics.__file__).parent


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], evaluate.Metric]]:
    """`evaluate.load` of a file of the package."""
    path = list(sys.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate.config, "HF_MODULES_CACHE", tmp_path_factory.mktemp("modules"))
        yield lambda name: evaluate.load(str(FOLDER / f"{name}.py"))
    sys.path[:] = path
