"""Trainer trains every model class as it is: losses, accumulated steps, half precision, compiled models."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from packaging.version import Version
from small_trainable import CASES, causal, classifier, drop, recurrent, sequence

# While torch traces a graph it looks at the gradients of what the graph reads.
LOOKS = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
ALL = pytest.mark.parametrize("name", CASES)


@ALL
def test_losses_in_forward_and_evaluation(name, tmp_path):
    case = CASES[name]()
    assert type(case.model).__name__ == name.split("-", maxsplit=1)[0]
    trainer = case.trainer(tmp_path)
    assert trainer.label_names == ["labels"]
    with torch.no_grad():
        out = case.model.eval()(**case.batch())
    before = trainer.evaluate()["eval_loss"]
    assert before == pytest.approx(out.loss.item(), rel=1e-5)
    trainer.train()
    result = trainer.predict(case.data)
    assert result.metrics["test_loss"] < before
    assert result.label_ids.shape == case.batch()["labels"].shape
    scores = result.predictions[0] if isinstance(result.predictions, tuple) else result.predictions
    assert scores.shape == next(value for key, value in out.items() if "logits" in key).shape


@ALL
def test_accumulated_batches_are_one_batch(name, tmp_path):
    """With unequal numbers of tokens, so that a mean of means is not the mean."""
    weights = []
    for size in (4, 2):
        case = CASES[name]()
        drop(case.model, 0.0)
        steps = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 4 // size}
        case.trainer(tmp_path, max_steps=1, optim="sgd", learning_rate=0.5, max_grad_norm=0, **steps).train()
        weights.append(case.model.state_dict())
    start = CASES[name]().model.state_dict()
    changed = [key for key in start if not torch.equal(weights[0][key], start[key])]
    assert changed
    for key in changed:
        torch.testing.assert_close(weights[1][key], weights[0][key], atol=2e-6, rtol=1e-5)


@ALL
@pytest.mark.usefixtures("_fresh_accelerator")
def test_half_precision(name, tmp_path):
    case = CASES[name]()
    drop(case.model, 0.0)
    exact = case.model.train()(**case.batch()).loss.item()
    trainer = case.trainer(tmp_path, max_steps=1, bf16=True)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(exact, rel=0.03)
    trainer.train()
    (loss,) = [row["train_loss"] for row in trainer.state.log_history if "train_loss" in row]
    assert loss == pytest.approx(exact, rel=0.03)
    assert loss != exact
    assert all(weight.dtype == torch.float32 for weight in case.model.parameters())
    if "LM" in name:
        with torch.autocast("cpu", torch.bfloat16):
            logits = case.model(**case.batch()).logits
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits.exp().sum(-1), torch.ones_like(logits[..., 0]))


@LOOKS
@pytest.mark.skipif(Version(torch.__version__) < Version("2.13"), reason="2.10 cannot trace packed sequences")
@pytest.mark.usefixtures("_fresh_accelerator")
@pytest.mark.filterwarnings("ignore:Dynamo detected a call to a `functools.lru_cache`:UserWarning")  # it traces on
def test_compiled_around_the_model(tmp_path):
    """Of the smallest class: each takes seconds to trace, as what depends on the orbits at hand breaks the graph."""
    plain, compiled = recurrent(), recurrent()
    torch.compiler.reset()
    losses = []
    for case, settings in ((plain, {}), (compiled, {"torch_compile": True, "torch_compile_backend": "eager"})):
        trainer = case.trainer(tmp_path, max_steps=1, **settings)
        trainer.train()
        losses.append(trainer.state.log_history[-1]["train_loss"])
    assert type(trainer.model_wrapped).__name__ == "OptimizedModule"
    assert losses[0] == losses[1]
    for own, other in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        torch.testing.assert_close(own, other)


@LOOKS
@pytest.mark.parametrize("make", [causal, lambda: sequence("t5"), classifier], ids=["causal", "sequence", "images"])
def test_compiled_inside_the_model(make, tmp_path):
    """The base in one graph, which `fullgraph` asks for, and orbits around it as they are."""
    plain, compiled = make(), make()
    torch.compiler.reset()
    graphs = []
    losses = []
    for case in (plain, compiled):
        drop(case.model, 0.0)
        if case is compiled:
            backend = lambda graph, inputs: graphs.append(graph) or graph  # noqa: E731
            case.model.base.base_model.compile(fullgraph=True, backend=backend)
        trainer = case.trainer(tmp_path, max_steps=1)
        trainer.train()
        losses.append(trainer.state.log_history[-1]["train_loss"])
    assert graphs
    assert math.isclose(*losses, rel_tol=1e-6)
    for own, other in zip(plain.model.parameters(), compiled.model.parameters(), strict=True):
        np.testing.assert_allclose(own.detach(), other.detach(), atol=1e-5)
