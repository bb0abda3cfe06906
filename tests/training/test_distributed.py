"""Several processes under `accelerate launch` train what one process trains on the same global batches."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
import train_worker
from accelerate.commands.config.config_args import load_config_from_file
from children import environment, python_with_package

from hf_equi import EquiForImageClassification, EquiForSeq2SeqLM, EquiLM

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "examples" / "accelerate"
TIMEOUT = 240
CLASSES = {
    "causal": EquiLM,
    "checkpointed": EquiLM,
    "seq2seq": EquiForSeq2SeqLM,
    "images": EquiForImageClassification,
}


def launch(name: str, folder: Path) -> None:
    """Train all models in the processes of a configuration of the examples."""
    launcher = [
        python_with_package(),
        "-m",
        "accelerate.commands.launch",
        "--config_file",
        str(CONFIGS / f"{name}.yaml"),
    ]
    child = subprocess.Popen(
        [*launcher, str(ROOT / "tests" / "support" / "train_worker.py"), str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment(ROOT, ROOT / "tests" / "support", OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=""),
    )
    try:
        _, errors = child.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:  # processes that wait for each other do so for ever
        for process in (*psutil.Process(child.pid).children(recursive=True), child):
            process.kill()
        pytest.fail(f"{name} has not ended after {TIMEOUT} seconds")
    assert child.returncode == 0, errors


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[list[dict[str, Any]], dict[str, torch.Tensor]]]:
    """Of each kind what one process has logged, and the weights that it has saved."""
    folder = tmp_path_factory.mktemp("alone")
    found = {}
    for kind, model in CLASSES.items():
        logged = train_worker.train(kind, folder / kind)
        found[kind] = (logged, model.from_pretrained(folder / kind).state_dict())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ddp_cpu", "fsdp_cpu"])
def test_two_processes_train_what_one_trains(name: str, alone: dict[str, Any], tmp_path: Path) -> None:
    launch(name, tmp_path)
    for kind, (logged, weights) in alone.items():
        notes = json.loads((tmp_path / kind / "notes.json").read_text())
        assert notes["processes"] == 2
        assert notes["sharded"] == (name == "fsdp_cpu")
        assert [entry["step"] for entry in notes["steps"]] == [1, 2, 3]
        for own, other in zip(notes["steps"], logged, strict=True):
            assert own["loss"] == pytest.approx(other["loss"], abs=1e-5), kind
        assert abs(logged[0]["loss"] - logged[-1]["loss"]) > 1e-2  # it has learnt something
        found = CLASSES[kind].from_pretrained(tmp_path / kind).state_dict()
        assert found.keys() == weights.keys()
        for key, weight in weights.items():
            torch.testing.assert_close(
                found[key], weight, atol=1e-5, rtol=0, msg=lambda text, key=key: f"{key}: {text}"
            )


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configurations_of_the_examples_are_known_to_accelerate(path: Path) -> None:
    config = load_config_from_file(str(path))  # which refuses unknown keys
    kind, device = path.stem.split("_")
    assert config.distributed_type.value == {"ddp": "MULTI_GPU", "fsdp": "FSDP"}[kind]
    assert config.use_cpu == (device == "cpu")
    assert (config.fsdp_config.get("fsdp_version") == 2) == (kind == "fsdp")
    assert config.num_processes == 2
