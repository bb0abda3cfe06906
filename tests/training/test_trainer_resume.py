"""A run that goes on from its checkpoint ends as one that was never stopped, to the bit."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from small_trainable import CASES, causal, drop, recurrent, sequence

DRAWS = {
    **CASES,
    "mixture": lambda: causal("mixture"),
    "own tokens": lambda: sequence("gru", "lambda", teacher_forcing_ratio=0.5),
    "network with own tokens": lambda: recurrent(teacher_forcing_ratio=0.5),
}
SAVES = {"save_strategy": "steps", "save_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1e-2}
# An EquizeroLM is saved without a scorer of the user's own, and says so when it is loaded.
SCORER = "ignore:This EquizeroLM was saved without its scorer"


def same(one, other):
    """Whether two states are equal to the bit, tensors and all."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) if not hasattr(one, "shape") else bool((one == other).all())


def state(folder, name):
    return torch.load(folder / name, weights_only=False)


@pytest.mark.filterwarnings(SCORER)
@pytest.mark.parametrize("name", DRAWS)
def test_to_the_bit(name, tmp_path):
    straight = DRAWS[name]()
    drop(straight.model, 0.3)
    straight.trainer(tmp_path / "straight", **SAVES).train()

    resumed = DRAWS[name]()
    drop(resumed.model, 0.3)
    with torch.no_grad():
        for weight in resumed.model.parameters():
            weight.add_(1.0)  # nothing of it is to be left
    torch.manual_seed(99)
    trainer = resumed.trainer(tmp_path / "resumed", **SAVES)
    trainer.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-2"))
    assert trainer.state.global_step == 4

    ends = [tmp_path / run / "checkpoint-4" for run in ("straight", "resumed")]
    before = load_file(tmp_path / "straight" / "checkpoint-2" / "model.safetensors")
    weights = [load_file(end / "model.safetensors") for end in ends]
    assert same(*weights)
    assert not same(weights[0], before)
    assert same(straight.model.state_dict(), resumed.model.state_dict())
    for file in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        assert same(*(state(end, file) for end in ends)), file
    assert not same(state(ends[0], "rng_state.pth"), state(ends[0].parent / "checkpoint-2", "rng_state.pth"))
    if name.startswith("EquiForSeq2SeqLM-t5"):
        assert not torch.equal(*(one["lambda_network.layers.0.weight"] for one in (before, weights[0])))

    loaded = type(straight.model).from_pretrained(ends[1]).eval()
    with torch.no_grad():
        expected, found = (model(**straight.batch()).loss for model in (straight.model.eval(), loaded))
    assert torch.equal(expected, found)
