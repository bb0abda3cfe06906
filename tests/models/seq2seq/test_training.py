"""Gradients against finite differences and by hand, Trainer, checkpointing, adapters."""

from __future__ import annotations

import literal_seq2seq_orbits as literal
import pytest
import torch
from contract_tools import check_slopes
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from small_seq2seq import MOVED, SIX, TWO, encode, fresh, rows, targets, wrap
from torch.nn.functional import nll_loss
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

from hf_equi import EquiForSeq2SeqLM
from hf_equi.errors import ConfigurationError

METHODS = [
    ("equitune", {}),
    ("equitune", {"average": "probabilities"}),
    ("equitune", {"decoding": "independent"}),
    ("lambda", {}),
    ("lambda", {"decoding": "independent"}),
]


def toy(method, ratio=1.0, **settings):
    """A small network in float64, in training."""
    model = wrap(fresh("rnn").double(), SIX, method, **settings)
    model.config.teacher_forcing_ratio = ratio
    return model.train()


CASES = [(*case, 0.0) for case in METHODS]
CASES += [(*case, 1.0) for case in METHODS if "decoding" in case[1]]  # of the others the contract asks for them


@pytest.mark.parametrize(("method", "settings", "ratio"), CASES)
def test_gradients_are_finite_differences(method, settings, ratio):
    model = toy(method, ratio, **settings)
    batch, labels = encode(model, MOVED[:2]), targets(model, 2)

    def loss():
        return model(**batch, labels=labels).loss

    loss().backward()
    weights = dict(model.named_parameters())
    gradient = {name: weight.grad for name, weight in weights.items()}
    assert sum(way.abs().max() > 1e-4 for way in gradient.values()) > 5
    check_slopes(loss, weights, gradient)


def test_equizero_has_the_value_of_the_choice_and_the_gradient_of_the_mean():
    model = toy("equizero")
    labels = targets(model)
    loss = model(**encode(model), labels=labels).loss
    loss.backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    inputs = model.prepare_decoder_input_ids_from_labels(labels)
    chosen = torch.stack([literal.forward(model, *pair) for pair in zip(rows(model), inputs, strict=True)])
    chosen.requires_grad_()
    value = nll_loss(chosen.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(loss, value)
    (upstream,) = torch.autograd.grad(value, chosen)
    mean = [
        literal.mean(literal.members(model.base, model.action, *pair), "logits")
        for pair in zip(rows(model), inputs, strict=True)
    ]
    torch.stack(mean).backward(upstream)
    for own, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(own, parameter.grad, atol=1e-9, rtol=1e-7)
    assert max(own.abs().max() for own in found) > 1e-3


@pytest.mark.parametrize("method", ["equitune", "equizero"])
def test_the_objective_of_members_is_the_mean_of_their_losses(method):
    model = toy(method)
    labels = targets(model)
    inputs = model.prepare_decoder_input_ids_from_labels(labels)
    model(**encode(model), labels=labels).loss.backward()
    other = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.config.objective = "members"
    out = model(**encode(model), labels=labels)
    out.loss.backward()
    found = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    members = [literal.members(model.base, model.action, *pair) for pair in zip(rows(model), inputs, strict=True)]
    losses = [nll_loss(one, own) for each, own in zip(members, labels, strict=True) for one in each]
    mean = torch.stack(losses).mean()
    mean.backward()
    for own, parameter in zip(found, model.parameters(), strict=True):
        torch.testing.assert_close(own, parameter.grad, atol=1e-9, rtol=1e-7)
    assert not torch.allclose(found[0], other[0])
    if method == "equitune":
        torch.testing.assert_close(out.loss, mean)
    evaluated = model.eval()(**encode(model), labels=labels)
    torch.testing.assert_close(evaluated.logits, out.logits)  # scores are those of the law all the same


def test_equizero_learns_from_its_own_tokens():
    model = toy("equizero", 0.0)
    model(**encode(model), labels=targets(model)).loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.base.decoder.head.weight.grad.abs().max() > 1e-3


def train(model, folder, **settings):
    """Three steps on four sentences: the loss before and after."""
    source = model.tokenizer(list(MOVED), return_token_type_ids=False)
    rows = {**source, "labels": targets(model).tolist()}
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        **settings,
    )
    data = Dataset.from_dict(dict(rows))
    collator = DataCollatorForSeq2Seq(model.tokenizer, model=model)
    trainer = Trainer(model=model, args=arguments, train_dataset=data, eval_dataset=data, data_collator=collator)
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    return before, trainer.evaluate()["eval_loss"]


@pytest.mark.parametrize(
    ("method", "ratio"),
    [("equitune", 1.0), ("equitune", 0.5), ("equizero", 0.5), ("lambda", 0.5), ("canonical", 1.0)],
)
def test_trainer(tmp_path, method, ratio):
    model = wrap(fresh("gru"), TWO, method)
    model.config.teacher_forcing_ratio = ratio
    before, after = train(model, tmp_path)
    assert after < before
    model.eval()
    batch = encode(model)
    moved = {**batch, "input_ids": model.action.source.apply(1, batch["input_ids"])}
    texts = model.generate(**batch, max_new_tokens=6)
    assert model.generate(**moved, max_new_tokens=6).tolist() == model.action.target.apply(1, texts).tolist()
    model.save_pretrained(tmp_path / "trained")
    loaded = EquiForSeq2SeqLM.from_pretrained(tmp_path / "trained")
    assert loaded.generate(**batch, max_new_tokens=6).tolist() == texts.tolist()
    assert loaded.config.teacher_forcing_ratio == ratio


def test_gradient_checkpointing_changes_no_gradient(tmp_path):
    model = wrap(fresh("t5"), TWO).train()
    batch = {**encode(model), "labels": targets(model)}
    model(**batch).loss.backward()
    plain = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.activation_checkpointing_enable()
    assert model.base.is_activation_checkpointing
    model(**batch).loss.backward()
    for own, parameter in zip(plain, model.parameters(), strict=True):
        torch.testing.assert_close(parameter.grad, own, atol=1e-5, rtol=1e-4)
    before, after = train(model, tmp_path, activation_checkpointing=True)
    assert after < before


@pytest.mark.parametrize("method", ["equitune", "equizero"])
def test_gradient_checkpointing_of_rollouts_is_refused(method):
    """It would take the cache from a decoder that reads its own tokens, without a word."""
    model = wrap(fresh("bart"), TWO, method).train()
    model.config.teacher_forcing_ratio = 0.0
    model.activation_checkpointing_enable()
    with pytest.raises(ConfigurationError, match=r"which activation checkpointing removes: switch checkpointing off"):
        model(**encode(model), labels=targets(model))


@pytest.mark.parametrize("method", ["equitune", "equizero"])
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_adapters(method):
    model = wrap(fresh("t5"), TWO, method)
    batch, labels = encode(model), targets(model)
    texts = model.generate(**batch, max_new_tokens=6)
    adapted = get_peft_model(model, LoraConfig(target_modules=["q", "v"], r=2))
    assert adapted.generate(**batch, max_new_tokens=6).tolist() == texts.tolist()  # it starts at zero
    trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=3e-2)
    losses = []
    for _ in range(4):
        loss = adapted(**batch, labels=labels).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
    moved = {**batch, "input_ids": model.action.source.apply(1, batch["input_ids"])}
    texts = adapted.generate(**batch, max_new_tokens=6)
    assert adapted.generate(**moved, max_new_tokens=6).tolist() == model.action.target.apply(1, texts).tolist()
