"""The network in the hands of Trainer."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset
from small_networks import network, network_over, sentences, tokenizer
from transformers import DataCollatorForSeq2Seq, Seq2SeqTrainer, Seq2SeqTrainingArguments
from transformers.utils import find_labels

from hf_equi.networks.recurrent_seq2seq import GroupRecurrentSeq2Seq, RecurrentSeq2Seq


@pytest.mark.parametrize("model_class", [RecurrentSeq2Seq, GroupRecurrentSeq2Seq])
def test_labels_are_found_by_themselves(model_class):
    assert find_labels(model_class) == ["labels"]


def test_a_collator_asks_the_model_for_decoder_inputs():
    rows = [{"input_ids": [4, 2], "labels": [5, 6, 2]}, {"input_ids": [4, 5, 2], "labels": [2]}]
    batch = DataCollatorForSeq2Seq(tokenizer("a"), model=network())(rows)
    assert batch["decoder_input_ids"].tolist() == [[1, 5, 6], [1, 2, 0]]


@pytest.mark.parametrize("make", [network, lambda **settings: network_over("S3", **settings)])
def test_a_step_lowers_the_loss_and_evaluation_generates(make, tmp_path):
    model = make(teacher_forcing_ratio=0.5)
    sources, targets = sentences((4, 2, 3, 5)), sentences((2, 3, 1, 2), words=7)
    data = Dataset.from_dict(
        {
            "input_ids": [row.tolist() for row in sources],
            "labels": [[*row.tolist(), 2] for row in targets],
        }
    )
    arguments = Seq2SeqTrainingArguments(
        output_dir=str(tmp_path),
        use_cpu=True,
        max_steps=3,
        per_device_train_batch_size=4,
        learning_rate=0.05,
        predict_with_generate=True,
        generation_max_length=4,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    trainer = Seq2SeqTrainer(
        model,
        arguments,
        data_collator=DataCollatorForSeq2Seq(tokenizer("a")),
        train_dataset=data,
        eval_dataset=data,
        compute_metrics=lambda prediction: {"longest": int((prediction.predictions > 0).sum(1).max())},
    )
    assert trainer.label_names == ["labels"]
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    assert after["eval_loss"] < before["eval_loss"]
    assert 1 < before["eval_longest"] <= 4
    assert torch.isfinite(torch.tensor(trainer.state.log_history[-2]["train_loss"]))
