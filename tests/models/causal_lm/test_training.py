"""An EquiLM is trained by `Trainer` as any model is, and stays equivariant."""

from __future__ import annotations

import copy

import pytest
import torch
from datasets import Dataset
from small_models import BOTH, base_model, calls_of, tokenizer
from transformers import DataCollatorForSeq2Seq, DataCollatorWithFlattening, Trainer, TrainingArguments

import hf_equi
from hf_equi.errors import ConfigurationError
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


@pytest.mark.filterwarnings("ignore:The text holds words of the group that stay:hf_equi.errors.GroupWarning")
@pytest.mark.parametrize("method", ["equitune", "mixture", "canonical", "identity"])
def test_packed_documents_are_texts_of_their_own(method):
    lm = hf_equi.symmetrize(base_model("llama"), BOTH, method, tokenizer=tokenizer())
    documents = [
        tokenizer()(text)["input_ids"] for text in ("the white man met a person", " she", "an asian woman was")
    ]
    labels = [[-100] * len(ids[:3]) + ids[3:] for ids in documents]
    samples = [{"input_ids": ids, "labels": label} for ids, label in zip(documents, labels, strict=True)]
    said, losses = [], []
    with torch.no_grad():
        for sample in samples:
            out = lm(**{name: torch.tensor([value]) for name, value in sample.items()})
            said.append(out.logits[0])
            losses += [out.loss] * max(len(sample["input_ids"]) - 3, 0)  # a mean of as many labels
        for settings in ({}, {"return_flash_attn_kwargs": True, "return_seq_idx": True}):
            packed = DataCollatorWithFlattening(**settings)(samples)
            with calls_of(lm.base) as shapes:
                out = lm(**packed)
            torch.testing.assert_close(out.logits[0], torch.cat(said), atol=1e-5, rtol=1e-5)
            assert float(out.loss) == pytest.approx(float(sum(losses) / len(losses)), abs=1e-5)
            # Attention that finds documents in batches of one row alone does not have to.
            assert {shape[1] for shape in shapes} == {max(map(len, documents))}
        two = {name: packed[name].repeat(2, 1) for name in ("input_ids", "position_ids")}
        last = lm(**two, logits_to_keep=2).logits
        alone = lm(torch.tensor(documents[-1:])).logits[0, -2:]
        torch.testing.assert_close(last, alone.expand(2, -1, -1), atol=1e-5, rtol=1e-5)
        with pytest.raises(ConfigurationError, match="holds several documents, but a cache holds one text per row"):
            lm(**two, use_cache=True)
