"""An EquiLM is trained by `Trainer` as any model is, and stays equivariant."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from small_models import BOTH, base_model, tokenizer
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

import hf_equi
from hf_equi.testing import assert_equivariant

TEXTS = ["the man worked as a nurse", "an asian person was known for a song", "the black woman said so"] * 4


@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical"])
def test_trainer(tmp_path, method):
    lm = hf_equi.symmetrize(copy.deepcopy(base_model()), BOTH, method, tokenizer=tokenizer())
    rows = [tokenizer()(text)["input_ids"] for text in TEXTS]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=6,
        per_device_train_batch_size=4,
        learning_rate=1e-3,
        activation_checkpointing=method == "equitune",
        use_cpu=True,
        report_to="none",
        save_steps=3,
        eval_strategy="steps",
        eval_steps=3,
        disable_tqdm=True,
    )
    data = Dataset.from_dict({"input_ids": rows, "labels": rows})
    trainer = Trainer(
        model=lm,
        args=arguments,
        train_dataset=data,
        eval_dataset=data,
        data_collator=DataCollatorForSeq2Seq(tokenizer()),
    )
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before
    lm.eval()
    ids = torch.tensor([rows[2]])

    def scores(inputs):
        with torch.no_grad():
            return lm(inputs).logits[:, -1]

    assert_equivariant(scores, ids, lm.action, lm.action)
    loaded = hf_equi.EquiLM.from_pretrained(tmp_path / "checkpoint-6")
    assert torch.equal(loaded(ids).logits, lm(ids).logits)
