"""Train one small model of each kind by `Trainer`: alone when imported, in several processes under `accelerate`.

accelerate launch --config_file FILE tests/support/train_worker.py FOLDER
"""

from __future__ import annotations

import copy
import gc
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import small_models
import torch
from accelerate import PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from datasets import Dataset
from small_models import BOTH, base_model
from small_seq2seq import MOVED, SIX, targets, wrap
from small_training import classification
from small_training import rows as image_rows
from torch.distributed.fsdp import FSDPModule
from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments, set_seed

import hf_equi

TEXTS = ("the man worked as a nurse", "an asian person was known for a song", "He said so", "the black woman")
STEPS, GLOBAL_BATCH = 3, 4
# Of weights without influence, as the bias of keys, Adam divides rounding by rounding: epsilon hides it.
SETTINGS = {"learning_rate": 1e-2, "adam_epsilon": 1e-3, "lr_scheduler_type": "constant", "max_grad_norm": 1.0}


def causal() -> tuple[Any, Dataset, Any]:
    """An EquiLM over a base with tied embeddings; texts of different lengths, so that processes count other tokens."""
    tokenizer = copy.deepcopy(small_models.tokenizer())
    tokenizer.padding_side = "right"  # on the left, positions of GPT-2 would depend on the neighbours in the batch
    base = copy.deepcopy(base_model())
    for module in base.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    ids = [tokenizer(text)["input_ids"] for text in TEXTS * 2]
    model = hf_equi.symmetrize(base, BOTH, tokenizer=tokenizer)
    return model, Dataset.from_dict({"input_ids": ids, "labels": ids}), DataCollatorForSeq2Seq(tokenizer)


def checkpointed() -> tuple[Any, Dataset, Any]:
    """The same, of whose orbits one member goes through the base at a time."""
    model, data, collator = causal()
    model.config.orbit_chunk_size = 1
    return model, data, collator


def seq2seq() -> tuple[Any, Dataset, Any]:
    """λ-equitune of a Marian with two vocabularies: FSDP2 shards no embedding that more than two layers share."""
    model = copy.deepcopy(wrap("marian-pair", SIX, "lambda"))
    source = model.tokenizer(list(MOVED * 2), return_token_type_ids=False)
    data = Dataset.from_dict({**source, "labels": targets(model, 8).tolist()})
    return model, data, DataCollatorForSeq2Seq(model.tokenizer, model=model)


def images() -> tuple[Any, Dataset, Any]:
    """λ-equitune of a ViT."""
    return classification("lambda", "vit"), image_rows(8), None


KINDS: dict[str, tuple[Callable[[], tuple[Any, Dataset, Any]], dict[str, Any]]] = {
    "causal": (causal, {}),
    "checkpointed": (checkpointed, {"activation_checkpointing": True}),
    "seq2seq": (seq2seq, {}),
    "images": (images, {}),
}
"""What makes a model, its data and a collator; and settings of `TrainingArguments`."""


def train(kind: str, folder: Path, **settings: Any) -> list[dict[str, Any]]:
    """Train a model, save it, and give what the Trainer has logged of each step."""
    set_seed(0)
    create, own = KINDS[kind]
    model, data, collator = create()
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        max_steps=STEPS,
        logging_steps=1,
        seed=0,
        **{**SETTINGS, **own, **settings},
    )
    arguments.per_device_train_batch_size = GLOBAL_BATCH // arguments.world_size
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collator)
    trainer.train()
    trainer.save_model(str(folder))
    steps = [entry for entry in trainer.state.log_history if "loss" in entry]
    layers = sum(isinstance(module, FSDPModule) for module in trainer.model.modules())
    notes = {"processes": arguments.world_size, "sharded": layers > 2, "steps": steps}
    (folder / "notes.json").write_text(json.dumps(notes))
    return steps


def sharded(kind: str) -> dict[str, Any]:
    """What lets accelerate shard a model on CPUs, where its configuration asks for that."""
    if os.environ.get("ACCELERATE_USE_FSDP") != "true":
        return {}
    # It shards between accelerators alone, so that processes on CPUs have to pass for such.
    AcceleratorState._reset_state()  # which holds the layers of the model before
    PartialState(cpu=True).distributed_type = DistributedType.MULTI_GPU
    if kind == "images":  # by itself accelerate would shard the embeddings of a ViT, and once more a part of them
        os.environ["FSDP_TRANSFORMER_CLS_TO_WRAP"] = "ViTLayer"
    return {"accelerator_config": {"use_configured_state": True}}


def main() -> None:
    """Train all kinds."""
    gc.freeze()  # each run ends by collecting garbage, of which what was imported is none
    for kind in KINDS:
        train(kind, Path(sys.argv[1]) / kind, **sharded(kind))


if __name__ == "__main__":
    main()
