"""What runs of the Trainer share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture
def _fresh_accelerator(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Precision and compilation are settings of a process for accelerate, and the first Trainer's."""
    monkeypatch.setenv("ACCELERATE_DYNAMO_BACKEND", "no")  # so that it is as before in the end
    AcceleratorState._reset_state()
    yield
    AcceleratorState._reset_state()
