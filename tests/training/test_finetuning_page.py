"""The recipes of docs/finetuning.md run as they stand, with one step."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path

import pytest
import small_models
import small_seq2seq
import torch
import transformers
from datasets import Dataset
from small_trainable import TEXTS
from small_training import QUIET

PAGE = Path(__file__).parents[2] / "docs" / "finetuning.md"


def rows(tokenizer, texts):
    """Texts that are continued, all of one length, for sections that name no collator."""
    ids = [(tokenizer(text, return_token_type_ids=False)["input_ids"] * 4)[:8] for text in texts]
    return Dataset.from_dict({"input_ids": ids, "attention_mask": [[1] * 8 for _ in ids], "labels": ids})


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # peft asks for it
def test_recipes_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("TrainingArguments", "Seq2SeqTrainingArguments"):
        monkeypatch.setattr(transformers, name, functools.partial(getattr(transformers, name), **QUIET, max_steps=1))
    # Nothing is built for a machine; a graph that breaks is still an error.
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    tokenizer, writer_tokenizer = copy.deepcopy(small_models.tokenizer()), small_seq2seq.tokenizers("t5")[0]
    bases = {
        name: copy.deepcopy(small_models.base_model("llama"))
        for name in ("base", "new_base", "other_base", "tuned_base")
    }
    data = rows(tokenizer, TEXTS)
    both = small_models.DemographicGroup([["man", "woman"]])
    names = {**bases, "tokenizer": tokenizer, "group": both, "rows": data, "data": data}
    names |= {"writer": small_seq2seq.fresh("t5"), "writer_tokenizer": writer_tokenizer}
    names["pairs"] = rows(writer_tokenizer, small_seq2seq.MOVED)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        code = compile(block, str(PAGE), "exec")
        if "PartialState" in block:  # of one of several processes: tests/training/test_distributed.py starts them
            continue
        names["group"] = small_seq2seq.TWO if "writer" in block else both
        if "new_base" in block:
            names["new_base"] = copy.deepcopy(small_models.base_model("llama"))
        exec(code, names)
    assert re.search(r"^loss: \d", capsys.readouterr().out, flags=re.MULTILINE)
    assert names["texts"].shape[0] == len(small_seq2seq.MOVED)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "finetuned")
    ids = torch.tensor(data["input_ids"][:1])
    with torch.no_grad():
        change = loaded(ids).logits - small_models.base_model("llama")(ids).logits.log_softmax(-1)
    assert type(loaded).__name__ == "EquiLM"
    assert change.abs().max() > 1e-3
