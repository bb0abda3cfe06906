"""What all tests share: no network, a fixed seed, and no test that needs what is not there."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read by huggingface_hub when it is first imported
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import children
import pytest
import torch

pytest.register_assert_rewrite("contract")  # which holds tests that files of tests inherit


@pytest.fixture(autouse=True)
def _fixed_seed() -> None:
    """Seed what runs on the CPU: `torch.manual_seed` notes a traceback for each kind of device that has not begun."""
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(0)


@pytest.fixture(autouse=True)
def _usual_arithmetic() -> Iterator[None]:
    """Undo what an example fixes for its own process (`examples/machine.py`)."""
    yield
    if torch.are_deterministic_algorithms_enabled():
        torch.use_deterministic_algorithms(False)
        torch.set_flush_denormal(False)


@pytest.fixture(autouse=True, scope="session")
def _quick_children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    own = tmp_path_factory.getbasetemp()
    children.share(own.parent if "PYTEST_XDIST_WORKER" in os.environ else own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(children.STARTUP), prepend=os.pathsep)
        yield


def pytest_collection() -> None:
    """Look for no garbage while all is imported: see tests/support/startup/sitecustomize.py."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage again, but seldom, and not among what has been imported.

    At Python's own threshold a tenth of the time goes into looking. Each file of tests ends with a look, below.
    """
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Nor among what a file of tests leaves behind, imports and caches for the most part: each Trainer looks."""
    if nextitem is not None and nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture
def shard() -> Iterator[Callable[[torch.nn.Module], Any]]:
    """What shards a model between processes, of which this is the only one."""
    from torch import distributed  # these take a while to import, and most tests do without
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    mesh = init_device_mesh("cpu", (1,))
    yield lambda model: fully_shard(model, mesh=mesh)
    distributed.destroy_process_group()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip `gpu` without a CUDA device, and `hub` unless HF_EQUI_HUB_TESTS is set.

    Examples and benchmarks come first, of which some take long: what comes last is short, and workers end together.
    """
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)
    absent = {
        "gpu": "" if torch.cuda.is_available() else "needs a CUDA device",
        "hub": "" if os.environ.get("HF_EQUI_HUB_TESTS") else "needs HF_EQUI_HUB_TESTS=1 and a model hub",
    }
    for item in items:
        for marker, reason in absent.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))
