"""Processes that tests start, of which most do little but import."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

SUPPORT = Path(__file__).parent
STARTUP = SUPPORT / "startup"
"""Holds what Python runs first in all of them, by `PYTHONPATH`, which tests/conftest.py sets."""

TORCH = (
    *("matplotlib.pyplot", "numpy", "pandas", "pyarrow.parquet", "sympy", "yaml"),
    *("scipy.optimize", "scipy.sparse.linalg", "scipy.stats", "sklearn.metrics"),
    *("torch", "torch._dynamo", "torch._meta_registrations", "torch.distributed.fsdp", "torch.distributed.run"),
    *("torch.distributed.tensor", "torch.export"),
)
HUGGING_FACE = (
    *("accelerate.commands.config", "accelerate.utils", "datasets", "evaluate", "huggingface_hub", "jinja2", "peft"),
    *("rich.progress", "rich.table", "safetensors.torch", "tokenizers", "transformers", "transformers.generation"),
    *("transformers.modeling_utils", "transformers.models.auto.modeling_auto", "transformers.trainer", "typer"),
)
PACKAGE = (
    *("hf_equi.auto", "hf_equi.cli.audit", "hf_equi.fairness.auditing.run", "hf_equi.training"),
    *(f"hf_equi.models.{task}" for task in ("causal_lm", "clip", "image_classification", "seq2seq")),
    *("transformers.trainer_seq2seq", *(f"transformers.models.{name}" for name in ("bert", "gpt2", "resnet", "vit"))),
)

_folder: Path | None = None


def environment(*paths: Path, **variables: str) -> dict[str, str]:
    """That of this process, with more places to import from, and with other variables."""
    python_path = os.pathsep.join([*map(str, paths), os.environ["PYTHONPATH"]])
    return {**os.environ, "PYTHONPATH": python_path, **variables}


def share(folder: Path) -> None:
    """Say where processes are found that have imported already: one folder for all workers of a run."""
    global _folder  # noqa: PLW0603
    _folder = folder


def python_with_torch() -> str:
    """A Python that has imported torch and others which take long, and nothing that reads how it finds a hub."""
    return _warm("torch", sys.executable, TORCH)


def python_with_transformers() -> str:
    """A Python that has imported transformers, its Trainer and what they need as well, and nothing of hf_equi."""
    return _warm("transformers", python_with_torch(), HUGGING_FACE)


def python_with_package() -> str:
    """A Python that has imported hf_equi as well, for tests of what a program does and not of how it starts."""
    return _warm("package", python_with_transformers(), PACKAGE)


def _warm(name: str, python: str, modules: tuple[str, ...]) -> str:
    """The program that stands in for Python: see `warm_server.py`. Elsewhere than on Linux, Python itself."""
    if sys.platform != "linux":
        return sys.executable
    import fcntl

    assert _folder is not None, "tests/conftest.py says which"
    program = _folder / f"python-with-{name}"
    socket = program.with_suffix(".socket")
    with (_folder / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            watched = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
            command = [python, SUPPORT / "warm_server.py", socket, watched, *modules]
            subprocess.run([*map(str, command)], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
            client = shlex.join([sys.executable, "-IS", str(SUPPORT / "warm_client.py"), str(socket)])
            program.write_text(f'#!/bin/sh\nexec {client} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
    return str(program)
