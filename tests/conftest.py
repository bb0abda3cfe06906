"""What all tests share: no network, a fixed seed, and no test that needs what is not there."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read by huggingface_hub when it is first imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
import torch


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    torch.manual_seed(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` without a CUDA device, and `hub` unless HF_EQUI_HUB_TESTS is set."""
    absent = {
        "gpu": "" if torch.cuda.is_available() else "needs a CUDA device",
        "hub": "" if os.environ.get("HF_EQUI_HUB_TESTS") else "needs HF_EQUI_HUB_TESTS=1 and a model hub",
    }
    for item in items:
        for marker, reason in absent.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
