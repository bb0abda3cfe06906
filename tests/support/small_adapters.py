"""Adapters of peft on small models, and a few large steps with them."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import torch
from packaging.version import Version
from peft import (
    CartridgeConfig,
    IA3Config,
    LoraConfig,
    PeftConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
)
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType
from small_models import tokenizer
from small_training import QUIET
from transformers import Trainer, TrainingArguments
from transformers.integrations.peft import MIN_PEFT_VERSION

PEFT_FITS = Version(version("peft")) >= Version(MIN_PEFT_VERSION)
"""Whether this peft knows this transformers. Where it does not, transformers refuses to add adapters itself, and
`generate` of peft loses track of virtual tokens: peft 0.21 looks for a cache by the name that it had until 5.23."""
OF_PEFT = "ignore:.*`past_key_values` (is deprecated|and `cache` are set):FutureWarning"
"""A filter for what such a peft calls in transformers."""

TEXTS = ("the man worked as a nurse", "He met the woman")
"""Of different lengths, and moved by the group of two."""
CAUSAL = {"task_type": "CAUSAL_LM"}
PAIRS = {"task_type": "SEQ_2_SEQ_LM"}


def layers(kind: str, **settings: Any) -> PeftConfig:
    """An adapter that is layers, `"lora"` or `"ia3"`."""
    return LoraConfig(r=2, **settings) if kind == "lora" else IA3Config(**settings)


# What some kinds need beside the layers, on a small model.
SIZES: dict[str, dict[str, Any]] = {
    "ADALORA": {"total_step": 10},
    "BOFT": {"boft_block_size": 4},
    "C3A": {"block_size": 4},
    "FOURIERFT": {"n_frequency": 10},
    "GRALORA": {"r": 4, "gralora_k": 2},
    "IA3": {"feedforward_modules": []},
    "LN_TUNING": {"target_modules": ["input_layernorm"]},
    "MISS": {"r": 4},
    "OFT": {"oft_block_size": 4, "r": 0},
    "PSOFT": {"r": 4},
    "ROAD": {"group_size": 4},
    "SHIRA": {"r": 2},
    "WAVEFT": {"n_frequency": 10},
}


def of_kind(kind: str) -> PeftConfig:
    """An adapter for a small Llama, by what peft calls its kind."""
    settings = {"target_modules": ["q_proj", "v_proj"], **SIZES.get(kind, {})}
    config: PeftConfig = PEFT_TYPE_TO_CONFIG_MAPPING[PeftType(kind)](**settings)
    return config


def prompts(kind: str, **settings: Any) -> PeftConfig:
    """Three virtual tokens, `"prompt"`, `"prefix"`, `"cartridge"` or `"p"`; for a causal model, unless told."""
    sizes: dict[str, Any] = {"num_virtual_tokens": 3, **CAUSAL, **settings}
    if kind == "prompt":
        return PromptTuningConfig(**sizes)
    if kind == "prefix":
        return PrefixTuningConfig(**sizes)
    if kind == "cartridge":
        return CartridgeConfig(**sizes)
    return PromptEncoderConfig(encoder_hidden_size=8, **sizes)


@torch.no_grad()
def stirred(model: Any) -> Any:
    """A model of peft with virtual tokens far from where they start, so that they change what the base says."""
    for weight in model.prompt_encoder.parameters():
        weight.add_(torch.randn_like(weight))
    return model.eval()


def encoded() -> dict[str, torch.Tensor]:
    """The texts as one batch with its mask, padded on the left."""
    batch = tokenizer()(list(TEXTS), return_tensors="pt", padding=True)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


@torch.no_grad()
def greedily(model: Any, tokens: int, **batch: torch.Tensor) -> torch.Tensor:
    """What a model writes, by its `forward` alone: the whole text at every step, no cache, no `generate`.

    Args:
        model: A causal model, or one from text to text for a batch with `decoder_input_ids`.
        tokens: How many to write.
        **batch: `input_ids`, `attention_mask`.
    """
    grows = "decoder_input_ids" if "decoder_input_ids" in batch else "input_ids"
    settings = model.generation_config
    ended = torch.zeros(len(batch[grows]), dtype=torch.bool)
    for _ in range(tokens):
        best = model(**batch).logits[:, -1].argmax(-1).masked_fill(ended, settings.pad_token_id or 0)
        ended |= best == settings.eos_token_id
        batch[grows] = torch.cat([batch[grows], best[:, None]], 1)
        if grows == "input_ids":
            mask = batch["attention_mask"]
            batch["attention_mask"] = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
    return batch[grows]


def text_rows() -> list[dict[str, torch.Tensor]]:
    """The texts as rows of a data set for a causal language model."""
    batch = encoded()
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    return [{**{name: batch[name][i] for name in batch}, "labels": labels[i]} for i in range(len(TEXTS))]


def step(model: Any, folder: Any, rows: Any, resume: Any = None, **settings: Any) -> Trainer:
    """Train for two steps that leave no adapter near where it started."""
    chosen = {"max_steps": 2, "learning_rate": 0.1, "label_names": ["labels"], **QUIET, **settings}
    collator = chosen.pop("data_collator", None)
    trainer = Trainer(model, TrainingArguments(str(folder), **chosen), train_dataset=rows, data_collator=collator)
    trainer.train(resume_from_checkpoint=resume)
    model.eval()
    return trainer
