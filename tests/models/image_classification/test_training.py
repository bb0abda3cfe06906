"""Training by `Trainer`, in the two phases of λ-equitune: first the weights of members, then all."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from small_vision import images
from transformers import Trainer, TrainingArguments
from wrapped_vision import TURNS, wrap

from hf_equi import EquiForImageClassification
from hf_equi.testing import assert_equivariant

LABELS = [0, 1, 2, 3]


def trainer(model, folder, steps, rate):
    data = Dataset.from_dict({"pixel_values": images(4).tolist(), "labels": LABELS}).with_format("torch")
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=4,
        learning_rate=rate,
        use_cpu=True,
        report_to="none",
        save_steps=steps,
        disable_tqdm=True,
    )
    return Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data)


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def changed(module, before):
    return any(not torch.equal(value, before[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(("method", "lambda_features"), [("lambda", "frozen"), ("attention", "shared")])
def test_two_phases(tmp_path, method, lambda_features):
    model = wrap("resnet-basic", TURNS, method, lambda_units=5, lambda_features=lambda_features)
    base, network = state(model.base), state(model.lambda_network)
    model.base.requires_grad_(False)
    first = trainer(model, tmp_path / "first", 3, 1e-2)
    untrained = first.evaluate()["eval_loss"]
    first.train()
    assert changed(model.lambda_network, network)
    assert not changed(model.base, base)  # batch statistics neither
    assert first.evaluate()["eval_loss"] < untrained

    model.base.requires_grad_(True)
    second = trainer(model, tmp_path / "second", 6, 1e-2)
    before = second.evaluate()["eval_loss"]
    second.train()
    assert changed(model.base, base)
    if lambda_features == "frozen":
        assert not changed(model.frozen_base, base)
    result = second.predict(second.eval_dataset)
    assert result.metrics["test_loss"] < before
    assert result.predictions.shape == (4, 4)  # logits, and nothing beside them

    model.eval()
    assert_equivariant(lambda x: model(x).logits, images(2), model.action, tolerance=2e-5)
    loaded = EquiForImageClassification.from_pretrained(tmp_path / "second" / "checkpoint-6").eval()
    assert not changed(loaded, state(model))
    with torch.no_grad():
        torch.testing.assert_close(loaded(images(2)).logits, model(images(2)).logits, atol=1e-6, rtol=1e-6)
    assert not any(parameter.requires_grad for name, parameter in loaded.named_parameters() if "frozen" in name)


def test_equizero_learns_by_the_mean(tmp_path):
    model = wrap("resnet-basic", TURNS, "equizero")
    run = trainer(model, tmp_path, 4, 1e-2)
    before = run.evaluate()["eval_loss"]
    run.train()
    assert run.evaluate()["eval_loss"] < before
