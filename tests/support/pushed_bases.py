"""Small models under the names that pages use, and what lies beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from small_models import tokenizer
from small_pictures import NAMES, write_pictures
from small_processors import image_processor, picture
from small_vision import classifier
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    T5Config,
    T5ForConditionalGeneration,
)

from hf_equi.bases.embedded import embedded_folder


def push(name: str, *parts: Any) -> None:
    for part in parts:
        part.push_to_hub(name)


def push_gpt2() -> None:
    """The embedded model, with a tokenizer that has no token to pad with, as that of GPT-2."""
    folder = embedded_folder("demo_lm")
    without = AutoTokenizer.from_pretrained(folder)
    without.pad_token = None
    without.padding_side = "right"
    push("openai-community/gpt2", AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), without)


def push_regard() -> None:
    folder = embedded_folder("demo_regard")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    push("sasha/regardv3", model, AutoTokenizer.from_pretrained(folder))


def push_vision() -> None:
    """A small classifier under the name of a large one, and a picture."""
    push("microsoft/resnet-50", classifier("resnet-basic"), image_processor())
    picture().save("photo.png")


def push_pictures() -> None:
    """A small classifier under the name of a large one, and pictures of its classes."""
    base = classifier("resnet-basic")
    base.config.id2label = dict(NAMES)
    push("microsoft/resnet-50", base, image_processor())
    write_pictures(Path("photos"), 2)


def push_t5() -> None:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2, "vocab_size": len(tokenizer())}
    config = T5Config(**sizes, decoder_start_token_id=1, pad_token_id=1, eos_token_id=0)
    push("google-t5/t5-small", T5ForConditionalGeneration(config), tokenizer())
