"""A hub on the loopback interface, and the real client of this process set to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_client import DEPRECATED, connected
from loopback_hub import LoopbackHub


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if {"hub", "shelf"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.filterwarnings(DEPRECATED))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LoopbackHub]:
    """A hub that is empty, and the client with a token for it and a cache of its own that is empty too."""
    with LoopbackHub() as server, connected(server, tmp_path / "cache"):
        yield server
