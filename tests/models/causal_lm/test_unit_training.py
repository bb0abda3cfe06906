"""An EquiLM that moves words of several tokens is trained by `Trainer` as any model is, and stays equivariant."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from datasets import Dataset
from small_models import base_model, calls_of, tokenizer
from transformers import DataCollatorForSeq2Seq, DataCollatorWithFlattening, Trainer, TrainingArguments

import hf_equi
from hf_equi import DemographicGroup
from hf_equi.errors import GroupWarning
from hf_equi.fairness import group_gap

GROUP = DemographicGroup([["man", "woman"], ["uncle", "aunt"], ["old king", "queen"]])
FEW = DemographicGroup([["man", "woman"], ["old king", "queen"]])
# "tiger" "s" becomes "cat" "s", which is read as the word "cats": so no "s" follows "tiger".
MEETING = DemographicGroup([["tiger", "cat"], ["cats", "dog"]])
TEXTS = ["the man met an uncle", "an old king was a nurse", "the queen said so"]


def wrap(group=GROUP, family="gpt2", **settings):
    base = copy.deepcopy(base_model(family))
    return hf_equi.symmetrize(base, group, tokenizer=tokenizer(), multi_token="compose", **settings)


def ids_of(*texts):
    return [tokenizer()(text)["input_ids"] for text in texts]


@pytest.mark.parametrize(("relaxed", "look_ahead"), [(False, 0.0), (True, 1.0)])
def test_trainer(tmp_path, relaxed, look_ahead):
    """R-EquiLM too. While it looks ahead, also with gradient checkpointing, under which the base keeps no cache."""
    group = FEW.relax(neutral=["nurse", "so"]) if relaxed else FEW
    lm, rows = wrap(group, look_ahead=look_ahead), ids_of(*TEXTS)
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=3,
        learning_rate=1e-3,
        activation_checkpointing=not relaxed,
        use_cpu=True,
        report_to="none",
        save_steps=2,
        disable_tqdm=True,
    )
    data, right = Dataset.from_dict({"input_ids": rows, "labels": rows}), copy.copy(tokenizer())
    right.padding_side = "right"
    trainer = Trainer(
        model=lm,
        args=arguments,
        train_dataset=data,
        eval_dataset=data,
        data_collator=DataCollatorForSeq2Seq(right),
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    after = trainer.evaluate()["eval_loss"]
    assert after < before
    lm.eval()
    ids = torch.tensor([rows[0]])
    if not relaxed:
        assert group_gap(lm, lm.action, ids, 3).largest <= 1e-5
    loaded = hf_equi.EquiLM.from_pretrained(tmp_path / "checkpoint-2")
    assert loaded.action.same_as(lm.action)
    assert torch.equal(loaded(ids).logits, lm(ids).logits)
    with torch.no_grad():
        losses = [lm(torch.tensor([row]), labels=torch.tensor([row])).loss * (len(row) - 1) for row in rows]
    assert after == pytest.approx(float(sum(losses)) / sum(len(row) - 1 for row in rows), abs=1e-3)


def test_gradients_are_the_same_with_checkpointing():
    ids, found = torch.tensor(ids_of(TEXTS[0])), []
    for checkpoints in (False, True):
        lm = wrap(family="llama", look_ahead=0.001)
        if checkpoints:
            lm.activation_checkpointing_enable()
        lm.train()
        lm(ids, labels=ids).loss.backward()
        found.append({name: weight.grad for name, weight in lm.named_parameters()})
    assert all(torch.allclose(found[0][name], found[1][name], atol=1e-5) for name in found[0])


def test_packed_documents_are_texts_of_their_own():
    lm, documents = wrap(family="llama"), ids_of("the man met an uncle", "an old king", "the aunt was")
    with torch.no_grad():
        said = torch.cat([lm(torch.tensor([ids])).logits[0] for ids in documents])
        packed = DataCollatorWithFlattening()([{"input_ids": ids, "labels": ids} for ids in documents])
        with calls_of(lm.base) as shapes:
            out = lm(**packed)
    torch.testing.assert_close(out.logits[0], said, atol=1e-5, rtol=1e-5)
    assert max(shape[1] for shape in shapes) < len(said)
    assert math.isfinite(out.loss)


def test_labels_of_probability_0_do_not_count_and_that_is_said_once():
    lm, (ids, meeting) = wrap(MEETING, "llama"), ids_of("the tiger met", "the tigers")
    labels, place = torch.tensor([ids, ids]), len(meeting) - 1
    labels[:, place] = meeting[-1]
    lm.train()
    with pytest.warns(GroupWarning, match=rf"2 of {2 * (len(ids) - 1)} labels have probability 0") as caught:
        out = lm(torch.tensor([ids, ids]), labels=labels)
    assert len([one for one in caught if issubclass(one.category, GroupWarning)]) == 1
    assert (out.logits[:, place - 1, meeting[-1]] == -torch.inf).all()
    out.loss.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in lm.parameters())
    labels[:, place] = -100
    again = lm(torch.tensor([ids, ids]), labels=labels)
    torch.testing.assert_close(again.loss, out.loss)


def test_a_text_with_an_image_of_other_words_has_a_finite_loss():
    lm, ids = wrap(MEETING), torch.tensor(ids_of("the tigers met"))
    assert not lm.action.reads_back(ids[0].tolist())
    assert lm.train()(ids, labels=ids).loss.isfinite()


@pytest.mark.parametrize("how", ["label_smoothing_factor", "compute_loss_func"])
def test_a_loss_outside_the_model_reads_finite_scores(tmp_path, how):
    """Also of tokens of probability 0, which have no gradient."""
    lm, rows = wrap(MEETING, "llama", look_ahead=0.0), ids_of("the tiger met", "the tiger was")
    with torch.no_grad():
        assert lm(torch.tensor(rows)).logits.isneginf().any()

    def loss(outputs, labels, num_items_in_batch):
        scores = outputs.logits[:, :-1].flatten(0, 1)
        return torch.nn.functional.cross_entropy(scores, labels[:, 1:].flatten(), reduction="sum") / num_items_in_batch

    settings = {how: 0.1} if how == "label_smoothing_factor" else {}
    arguments = TrainingArguments(
        output_dir=str(tmp_path), max_steps=2, per_device_train_batch_size=2, use_cpu=True, report_to="none",
        save_strategy="no", disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = Trainer(
        model=lm,
        args=arguments,
        train_dataset=Dataset.from_dict({"input_ids": rows, "labels": rows}),
        compute_loss_func=loss if how == "compute_loss_func" else None,
    )
    assert math.isfinite(trainer.train().training_loss)
    assert all(weight.isfinite().all() for weight in lm.parameters())
    assert group_gap(lm.eval(), lm.action, torch.tensor(rows[:1]), 2).largest <= 1e-5


def test_labels_that_do_not_count_are_not_counted():
    """The loss of a whole batch is the mean of its labels, whoever counts them."""
    lm, (ids, meeting) = wrap(MEETING, "llama"), ids_of("the tiger met", "the tigers")
    labels = torch.tensor([ids, ids])
    labels[:, len(meeting) - 1] = meeting[-1]
    lm.train()
    batch = {"input_ids": torch.tensor([ids, ids]), "labels": labels}
    with pytest.warns(GroupWarning, match="have probability 0"):
        alone, counted = lm(**batch).loss, lm(**batch, num_items_in_batch=labels[:, 1:].numel()).loss
    torch.testing.assert_close(counted, alone)
