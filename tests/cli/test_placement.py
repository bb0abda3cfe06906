"""Where a model goes, and which version of it is meant."""

from __future__ import annotations

import pytest
import torch
from small_models import GENDER

from hf_equi.cli.loading import load_lm
from hf_equi.cli.options import Loading, Origin
from hf_equi.cli.placement import from_hub, read_placement
from hf_equi.errors import ConfigurationError


@pytest.fixture
def gpus(monkeypatch):
    """So many GPUs."""

    def there(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(count))
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return there


def test_a_model_goes_to_a_gpu_where_there_is_one(gpus) -> None:
    for count, usual in ((0, "cpu"), (2, "cuda")):
        gpus(count)
        assert read_placement(Loading()) == (torch.device(usual), {"dtype": torch.float32})
    assert read_placement(Loading(device="cuda:1", dtype="bfloat16")) == (
        torch.device("cuda:1"),
        {"dtype": torch.bfloat16},
    )
    assert read_placement(Loading(device="cpu", dtype="auto")) == (torch.device("cpu"), {"dtype": "auto"})


def test_a_large_model_is_spread(gpus) -> None:
    gpus(1)
    spread = {"dtype": torch.float32, "device_map": "auto"}
    assert read_placement(Loading(device="auto")) == (None, spread)
    limits = {0: 20 * 2**30, "cpu": 60_000_000}
    for device in ("auto", None):
        found = read_placement(Loading(device=device, max_memory="0=20GiB, cpu=60MB"))
        assert found == (None, {**spread, "max_memory": limits})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (Loading(device="gpu"), "--device='gpu' is not known: use cpu"),
        (Loading(device="mps"), "--device='mps' cannot be used: the noise"),
        (Loading(device="cuda:1"), r"--device='cuda:1' names GPU 1, which does not exist.*can use 1 GPU \(cuda:0\)"),
        (Loading(max_memory="0=1GiB,1=1GiB"), "--max-memory '1=1GiB' names GPU 1, which does not exist: this torch"),
        (Loading(dtype="int8"), "--dtype='int8' is not known: use one of 'float32', 'bfloat16'"),
        (Loading(device="cpu", max_memory="0=1GiB"), "--max-memory has no effect with --device cpu"),
        (Loading(max_memory="0:1GiB"), "--max-memory '0:1GiB' is not a limit: write"),
        (Loading(max_memory="cpu=much"), "'cpu=much' is not a limit"),
        (Loading(max_memory="gpu=1GiB"), "'gpu=1GiB' is not a limit"),
    ],
)
def test_what_is_not_there_is_named(gpus, options, problem) -> None:
    gpus(1)
    with pytest.raises(ConfigurationError, match=problem):
        read_placement(options)


def test_a_machine_without_a_gpu_says_so(gpus) -> None:
    gpus(0)
    for options in (Loading(device="cuda"), Loading(max_memory="0=1GiB")):
        with pytest.raises(ConfigurationError, match="names GPU 0, which does not exist: this torch can use no GPU"):
            read_placement(options)


def test_a_revision_is_of_a_model_on_the_hub(folder) -> None:
    assert from_hub("me/gpt2", Origin("v2", True)) == {"revision": "v2", "trust_remote_code": True}
    assert from_hub("me/gpt2", Origin()) == {"trust_remote_code": False}
    for model in (folder, "demo"):
        with pytest.raises(ConfigurationError, match="--revision 'v2' applies to a model on the Hub"):
            from_hub(model, Origin("v2"))


def test_a_model_is_loaded_in_the_numbers_that_are_asked_for(folder, equi_folder) -> None:
    for name in (folder, equi_folder):
        lm = load_lm(name, GENDER, options=Loading(dtype="bfloat16", device="auto"))
        assert (lm.dtype, lm.action.device.type) == (torch.bfloat16, "cpu")
