"""Phases: what they train, what they leave, what they restore, and their settings."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from small_training import (
    NAMES,
    Calls,
    changed,
    classification,
    comparison,
    rows,
    snapshot,
    tokenizer,
    train,
)
from small_vision import images

from hf_equi.errors import ConfigurationError
from hf_equi.testing import assert_equivariant
from hf_equi.training import ClassTexts, Phase, class_text_features, corrected_phases, published_phases
from hf_equi.training.parts import parameters_of


def lambda_names(model):
    return {name for name in model.state_dict() if name.startswith("lambda_network.")}


def check_invariant(function, model):
    model.eval()
    with torch.no_grad():
        assert_equivariant(function, images(2, seed=5), model.action)


def test_two_published_phases_of_a_classifier(tmp_path):
    model, data = classification("lambda"), rows()
    weights, probe = published_phases(model)
    before = snapshot(model)
    with weights.applied(model) as count:
        assert count == sum(parameter.numel() for parameter in model.lambda_network.parameters())
        train(model, weights, tmp_path, data, learning_rate=0.5)
    assert changed(model, before) == lambda_names(model)  # no batch norm of the frozen base has moved
    before = snapshot(model)
    last = {id(parameter) for parameter in parameters_of(model, "last_layers")}
    expected = {name for name, parameter in model.named_parameters() if id(parameter) in last}
    norm = next(name for name in expected if "normalization.weight" in name).removesuffix("weight")
    expected |= {f"{norm}{name}" for name in ("running_mean", "running_var", "num_batches_tracked")}
    with probe.applied(model):
        train(model, probe, tmp_path, data, learning_rate=0.1)
    assert changed(model, before) == expected
    assert all(parameter.requires_grad for parameter in model.parameters())  # nothing stays frozen
    check_invariant(lambda x: model(x).logits, model)


def test_two_published_phases_of_a_clip(tmp_path):
    model, data = comparison("lambda", level="probabilities"), rows()
    texts = ClassTexts(class_text_features(model, tokenizer(), NAMES))
    weights, base = published_phases(model)
    before = snapshot(model)
    with weights.applied(model):
        assert model.config.objective == "published_double_softmax"
        train(model, weights, tmp_path, data, data_collator=texts)
    assert changed(model, before) == lambda_names(model)
    assert model.config.objective == "cross_entropy"
    before = snapshot(model)
    with base.applied(model):
        train(model, base, tmp_path, data, data_collator=texts, learning_rate=0.1)
    moved = changed(model, before)
    assert {"base.visual_projection.weight", "base.vision_model.embeddings.patch_embedding.weight"} <= moved
    # The texts are given, so their tower has no gradient.
    assert all(name.startswith(("base.vis", "base.logit_scale")) for name in moved)
    check_invariant(lambda x: model(pixel_values=x, text_features=texts.text_features).logits_per_image, model)


@pytest.mark.parametrize(("features", "forwards"), [("shared", 1), ("frozen", 2)])
@pytest.mark.parametrize("place", [0, -1], ids=["lambda alone", "end to end"])
def test_a_step_of_lambda_runs_the_base_as_often_as_it_reads_features(features, forwards, place, tmp_path):
    model = classification("lambda", lambda_features=features)
    phase = corrected_phases(model)[place]
    models = [model, *([SimpleNamespace(base=model.frozen_base)] if features == "frozen" else [])]
    calls = [Calls(each) for each in models]
    with phase.applied(model):
        train(model, phase, tmp_path, rows(), max_steps=3)
    assert [each.count for each in calls] == [3] * forwards


@pytest.mark.parametrize("method", ["equitune", "equizero", "lambda"])
def test_end_to_end(method, tmp_path):
    model, data = classification(method, "vit"), rows()
    phase = corrected_phases(model)[-1]
    before = snapshot(model)
    with phase.applied(model):
        loss = train(model, phase, tmp_path, data, learning_rate=1e-2, max_steps=4).evaluate()["eval_loss"]
    assert changed(model, before) == set(before)
    model.load_state_dict(before)
    batch = {"pixel_values": data[:]["pixel_values"], "labels": data[:]["label"]}
    assert loss < model.eval()(**batch).loss.item()


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    model, data = classification("attention"), rows(8)
    phase = published_phases(model)[0]
    settings = {"max_steps": 4, "save_steps": 2, "save_strategy": "steps"}
    other = copy.deepcopy(model)
    with phase.applied(model):
        train(model, phase, tmp_path, data, **settings)
    checkpoint = tmp_path / "lambda" / "checkpoint-2"
    with phase.applied(other):
        trainer = train(other, phase, tmp_path / "other", data, resume=str(checkpoint), **settings)
    assert trainer.state.global_step == 4
    ours, theirs = model.state_dict(), other.state_dict()
    assert all(torch.allclose(ours[name], theirs[name], atol=1e-7) for name in lambda_names(model))
    stored = type(model).from_pretrained(checkpoint)
    assert changed(stored, ours) == lambda_names(model)  # two steps earlier


@pytest.mark.parametrize("kind", ["classification", "comparison"])
def test_metrics_are_given_logits_alone(kind, tmp_path):
    clip = kind == "comparison"
    model, data, seen = comparison() if clip else classification(), rows(6), []
    texts = ClassTexts(class_text_features(model, tokenizer(), NAMES)) if clip else None

    def metrics(prediction):
        seen.append((prediction.predictions, prediction.label_ids))
        return {"accuracy": float((prediction.predictions.argmax(-1) == prediction.label_ids).mean())}

    phase = published_phases(model)[0]
    with phase.applied(model):
        settings = {"data_collator": texts, "compute_metrics": metrics, "per_device_eval_batch_size": 4}
        values = train(model, phase, tmp_path, data, max_steps=1, **settings).evaluate()
    logits, labels = seen[0]
    assert logits.shape == (6, len(NAMES))
    assert labels.tolist() == data["label"][:].tolist()
    pixels = {"pixel_values": data[:]["pixel_values"]}
    with torch.no_grad():
        out = model.eval()(**pixels, **({"text_features": texts.text_features} if clip else {}))
    expected = out.logits_per_image if clip else out.logits
    assert torch.allclose(torch.from_numpy(logits), expected, atol=1e-5)
    assert values["eval_accuracy"] == float((expected.argmax(-1) == data["label"][:]).double().mean())


def test_a_phase_restores_what_it_found():
    model = classification("lambda", lambda_features="frozen")
    frozen = next(model.base.parameters())
    frozen.requires_grad_(False)
    flags = [parameter.requires_grad for parameter in model.parameters()]
    model.config.objective = "published_double_softmax"
    phase = Phase("λ", "lambda", 0.1, epochs=1, objective="cross_entropy")

    def fail():
        assert not any(parameter.requires_grad for parameter in model.base.parameters())
        assert model.config.objective == "cross_entropy"
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"), phase.applied(model):
        fail()
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert model.config.objective == "published_double_softmax"
    count = phase.prepare(model)  # without the end of a `with`, it stays
    assert count == sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert model.config.objective == "cross_entropy"


def test_what_is_frozen_evaluates_and_the_rest_trains():
    model = classification("lambda", lambda_dropout=0.5)
    phase = Phase("λ", "lambda", 0.1, epochs=1)
    with phase.applied(model.train()):
        assert not any(module.training for module in model.base.modules())
        assert all(module.training for module in model.lambda_network.modules())
        assert not any(module.training for module in model.eval().modules())
        model.train()
    assert all(module.training for module in model.modules())
    with Phase("last", "last_layers", 0.1, epochs=1).applied(model):
        norms = {name: module.training for name, module in model.named_modules() if "normalization" in name}
        assert [name for name, training in norms.items() if training] == [
            "base.resnet.encoder.stages.1.layers.0.layer.1.normalization"
        ]


def test_settings_can_be_overridden(tmp_path):
    phase = Phase("base", "base", 1e-3, max_steps=7, batch_size=5)
    arguments = phase.arguments(tmp_path)
    assert arguments.output_dir == str(tmp_path / "base")
    assert (arguments.max_steps, arguments.per_device_train_batch_size, arguments.learning_rate) == (7, 5, 1e-3)
    assert (arguments.optim, arguments.weight_decay, arguments.max_grad_norm) == ("sgd", 0.0, 0.0)
    assert arguments.label_names == ["labels"]
    arguments = phase.arguments(tmp_path, num_train_epochs=2, optim="adamw_torch", seed=3)
    assert (arguments.max_steps, arguments.num_train_epochs, arguments.seed) == (-1, 2, 3)
    assert (arguments.optim, arguments.optim_args) == ("adamw_torch", None)
    assert Phase("a", "all", 1e-3, epochs=0.5).arguments(tmp_path).num_train_epochs == 0.5


def test_senseless_phases_are_refused():
    for settings, message in [
        ({"trains": "head", "max_steps": 1}, "trains='head' is not known: use one of 'lambda'"),
        ({"trains": "base"}, "pass exactly one of max_steps=None and epochs=None"),
        ({"trains": "base", "max_steps": 1, "epochs": 1}, "pass exactly one of max_steps=1 and epochs=1"),
        ({"trains": "base", "epochs": 0}, "epochs=0 is out of range: use a number above 0$"),
        ({"trains": "base", "max_steps": 1, "batch_size": -1}, "batch_size=-1 is not a number of examples"),
    ]:
        with pytest.raises(ConfigurationError, match=message):
            Phase("phase", learning_rate=0.1, **settings)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("learning_rate", ("x", None, True, float("nan"), float("inf"))),
        ("epochs", ("1", True, float("inf"))),
        ("max_steps", ("3", 2.5, True, 0)),
        ("batch_size", ("4", 1.5, None, True)),
    ],
)
def test_settings_that_are_no_numbers_are_refused(name, values):
    length = {} if name in {"epochs", "max_steps"} else {"max_steps": 1}
    for value in values:
        with pytest.raises(ConfigurationError, match=f"{name}={value!r}.*: use"):
            Phase("phase", "base", **{"learning_rate": 0.1, **length, name: value})


def test_a_refused_model_is_left_as_it_was():
    model = classification("equitune")
    flags = [parameter.requires_grad for parameter in model.parameters()]
    with pytest.raises(ConfigurationError, match="has no λ"), Phase("λ", "lambda", 0.1, epochs=1).applied(model):
        pass
    unknown = Phase("base", "base", 0.1, epochs=1, objective="hinge")
    with pytest.raises(ConfigurationError, match="objective='hinge'"), unknown.applied(model):
        pass
    assert model.config.objective == "cross_entropy"
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    with pytest.raises(ConfigurationError, match="ResNetForImageClassification has no phases"):
        unknown.prepare(model.base)
