"""One small model of every class that `Trainer` trains, with data and a collator."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import small_models
import small_seq2seq
import small_training
import torch
from datasets import Dataset
from small_vision import clip, texts
from torch import nn
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, default_data_collator

import hf_equi
from hf_equi.networks.recurrent_seq2seq import GroupRecurrentSeq2Seq
from hf_equi.training import ClassTexts

TEXTS = ("the man worked as a nurse", "an asian person was known for a song", "the black woman said so", "He said so")


@dataclass
class Case:
    """A model and what it is trained on."""

    model: Any
    data: Dataset
    collator: Callable[[list[Any]], dict[str, Any]] = default_data_collator

    def batch(self) -> dict[str, Any]:
        """All rows, collated."""
        return self.collator([dict(row) for row in self.data])

    def trainer(self, folder: Any, kind: Any = Trainer, arguments: Any = TrainingArguments, **settings: Any) -> Any:
        """A quiet Trainer of four steps over four rows."""
        quiet = {**small_training.QUIET, "max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-3}
        return kind(
            self.model,
            arguments(str(folder), **{**quiet, **settings}),
            train_dataset=self.data,
            eval_dataset=self.data,
            data_collator=self.collator,
        )


def drop(model: nn.Module, share: float) -> None:
    """Set every dropout of a model."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = share


def scorer(drafts: list[str]) -> torch.Tensor:
    """A loss of texts."""
    return torch.tensor([float(len(draft)) for draft in drafts])


def causal(method: str = "equitune", **settings: Any) -> Case:
    tokenizer = small_models.tokenizer()
    base = copy.deepcopy(small_models.base_model())
    model = hf_equi.symmetrize(base, small_models.BOTH, method, tokenizer=tokenizer, **settings)
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    data = Dataset.from_dict({"input_ids": rows, "labels": rows})
    # On the left, the first token of a shorter text would be predicted from padding, as in any causal model.
    right = copy.deepcopy(tokenizer)
    right.padding_side = "right"
    return Case(model, data, DataCollatorForSeq2Seq(right))


def sequence(family: str, method: str = "equitune", **settings: Any) -> Case:
    model = small_seq2seq.wrap(small_seq2seq.fresh(family), small_seq2seq.TWO, method)
    for name, value in settings.items():
        setattr(model.config, name, value)
    return _sequence(model, model.tokenizer)


def recurrent(**settings: Any) -> Case:
    model = small_seq2seq.fresh("lstm")
    for name, value in settings.items():
        setattr(model.config, name, value)
    return _sequence(model, small_seq2seq.tokenizers("lstm")[0])


def over_group() -> Case:
    tokenizers = small_seq2seq.tokenizers("gru")
    torch.manual_seed(0)
    model = GroupRecurrentSeq2Seq.from_group(small_seq2seq.TWO, *tokenizers, hidden_size=4, cell="gru")
    return _sequence(model, tokenizers[0])


def _sequence(model: Any, tokenizer: Any) -> Case:
    source = tokenizer(list(small_seq2seq.MOVED), return_token_type_ids=False)
    labels = small_seq2seq.targets(model).tolist()
    data = Dataset.from_dict({**source, "labels": [row[: 2 + place] for place, row in enumerate(labels)]})
    return Case(model, data, DataCollatorForSeq2Seq(tokenizer, model=model))


def classifier(method: str = "lambda", family: str = "vit", **settings: Any) -> Case:
    torch.manual_seed(0)
    return Case(small_training.classification(method, family, **settings), small_training.rows())


def comparison(family: str, method: str = "lambda", **settings: Any) -> Case:
    weighs = {"lambda_units": 8} if method == "lambda" else {}
    torch.manual_seed(0)
    model = hf_equi.symmetrize(clip(family), hf_equi.ImageGroup.rotations(4), method, **weighs, **settings)
    with torch.no_grad():
        features = model.get_text_features(**texts(4)).pooler_output
    return Case(model, small_training.rows(), ClassTexts(features))


CASES: dict[str, Callable[[], Case]] = {
    "EquiLM": causal,
    "EquizeroLM": lambda: causal("equizero", scorer=scorer),
    "EquiForSeq2SeqLM-t5": lambda: sequence("t5", "lambda"),
    "EquiForSeq2SeqLM-bart": lambda: sequence("bart", "equizero"),
    "EquiForSeq2SeqLM-gru": lambda: sequence("gru"),
    "RecurrentSeq2Seq": recurrent,
    "GroupRecurrentSeq2Seq": over_group,
    "EquiForImageClassification": classifier,
    "EquiCLIPModel": lambda: comparison("clip"),
    "EquiSiglipModel": lambda: comparison("siglip", "equitune"),
}
"""By the class of the model, and the family of its base where there are several."""
