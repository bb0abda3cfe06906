"""Label smoothing is that of the model's own law, shifted where labels are, or refused by name."""

from __future__ import annotations

import pytest
import torch
from small_trainable import CASES, causal, classifier, comparison, drop, recurrent, sequence
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from hf_equi.errors import ConfigurationError

SHARE = 0.2
FITTING = [name for name in CASES if not name.endswith("bart")]


def smoothed(logits, labels):
    """By hand: instead of the right one, all tokens share `SHARE` of the loss."""
    losses = []
    for scores, label in zip(logits.flatten(0, -2).log_softmax(-1), labels.flatten().tolist(), strict=True):
        if label != -100:
            losses.append(-(1 - SHARE) * scores[label] - SHARE * scores.mean())
    return torch.stack(losses).mean().item()


@pytest.mark.parametrize("name", FITTING)
def test_smoothed_by_hand(name, tmp_path):
    case = CASES[name]()
    drop(case.model, 0.0)
    batch = case.batch()
    with torch.no_grad():
        out = case.model.eval()(**batch)
    logits, labels = next(value for key, value in out.items() if "logits" in key), batch["labels"]
    if name in ("EquiLM", "EquizeroLM"):
        logits, labels = logits[:, :-1], labels[:, 1:]
    expected = smoothed(logits, labels)
    assert abs(expected - out.loss.item()) > 1e-4
    for size, steps in ((4, 1), (2, 2)):  # the second counts tokens over both of its batches
        trainer = CASES[name]().trainer(
            tmp_path,
            max_steps=1,
            label_smoothing_factor=SHARE,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
        )
        drop(trainer.model, 0.0)
        assert trainer.evaluate()["eval_loss"] == pytest.approx(expected, rel=1e-5)
        trainer.train()
        assert trainer.state.log_history[-1]["train_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: causal("mixture"), 'method="mixture" weighs members by the tokens that have labels'),
        (CASES["EquiForSeq2SeqLM-bart"], 'method="equizero" chooses by the places that have labels'),
        (lambda: sequence("gru", teacher_forcing_ratio=0.5), r"teacher_forcing_ratio is below 1"),
        (lambda: recurrent(teacher_forcing_ratio=0.5), r"teacher_forcing_ratio is below 1"),
        (lambda: sequence("t5", objective="members"), r'objective="members" is the mean of the losses of the members'),
        (lambda: classifier(objective="published_double_softmax"), "takes the softmax twice"),
        (lambda: comparison("clip", objective="published_double_softmax"), "takes the softmax twice"),
        (lambda: classifier("canonical"), "what selects members trains by a loss of its own, such as a prior"),
        (lambda: comparison("clip", "canonical_lambda", theta=[0, 1]), "trains by a loss of its own"),
        (
            lambda: classifier("canonical", task_weight=0.5, prior_weight=0.0),
            r"task_weight=0\.5 weighs that of the lab",
        ),
    ],
)
def test_a_loss_that_is_no_function_of_the_logits_is_refused(make, reason, tmp_path):
    case = make()
    assert case.model.train()(**case.batch()).loss.isfinite()
    with pytest.raises(ConfigurationError, match=rf"label_smoothing_factor.* because .*{reason}"):
        case.trainer(tmp_path, label_smoothing_factor=SHARE).train()


def test_a_canonicalizer_is_smoothed_where_it_adds_nothing_to_the_loss(tmp_path):
    """It is frozen, or has neither a prior nor another loss: then the logits are all that the loss reads."""
    for settings in ({}, {"prior_weight": 0.0}):
        case = classifier("canonical", **settings)
        case.model.select_network.requires_grad_(bool(settings))
        trainer = case.trainer(tmp_path, max_steps=1, label_smoothing_factor=SHARE)
        with torch.no_grad():
            expected = smoothed(trainer.model.eval()(**case.batch()).logits, case.batch()["labels"])
        drop(trainer.model, 0.0)
        trainer.model.select_network.train = lambda mode=True: None  # with the statistics of evaluation
        trainer.train()
        assert trainer.state.log_history[-1]["train_loss"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", ["EquiForSeq2SeqLM-t5", "RecurrentSeq2Seq"])
def test_the_collator_has_to_know_the_model(name, tmp_path):
    case = CASES[name]()
    case.collator.model = None
    with pytest.raises(ConfigurationError, match=r"DataCollatorForSeq2Seq\(tokenizer, model=model\) makes these"):
        case.trainer(tmp_path, label_smoothing_factor=SHARE).train()


def test_a_loss_function_of_ones_own(tmp_path):
    def loss(outputs, labels, num_items_in_batch):
        scores = outputs.logits[:, :-1].flatten(0, 1)
        return torch.nn.functional.nll_loss(scores, labels[:, 1:].flatten(), reduction="sum") / num_items_in_batch

    case, plain = causal(), causal()
    for one in (case, plain):
        drop(one.model, 0.0)
    trainer, other = (one.trainer(tmp_path, max_steps=1, optim="sgd", learning_rate=0.5) for one in (case, plain))
    trainer.compute_loss_func = loss
    trainer.train()
    other.train()
    for own, one in zip(case.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(own, one, atol=1e-5, rtol=1e-5)


@pytest.mark.usefixtures("_fresh_accelerator")
def test_a_compiled_model_has_no_name_for_the_trainer(tmp_path):
    """It would smooth unshifted labels, as of any causal model that is compiled."""
    torch.compiler.reset()
    settings = {"torch_compile": True, "torch_compile_backend": "eager", "label_smoothing_factor": SHARE}
    with pytest.raises(ConfigurationError, match=r"with model\.base\.compile\(\) instead of torch_compile=True"):
        causal().trainer(tmp_path, **settings).train()


def test_the_name_does_no_harm_to_the_auto_class():
    causal()
    assert MODEL_FOR_CAUSAL_LM_MAPPING_NAMES["equi_lm"] == "EquiLM"
    assert MODEL_FOR_CAUSAL_LM_MAPPING_NAMES["equizero_lm"] == "EquizeroLM"
    assert {model.__name__ for model in MODEL_FOR_CAUSAL_LM_MAPPING._extra_content.values()} >= {"EquiLM"}
    assert len(list(MODEL_FOR_CAUSAL_LM_MAPPING.keys())) == len(MODEL_FOR_CAUSAL_LM_MAPPING)
