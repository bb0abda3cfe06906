"""A symmetrised model of every kind to publish, each with inputs and what it makes of them."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from loading_worker import scores
from peft import get_peft_model
from small_adapters import CAUSAL, layers
from small_models import BOTH, base_model, tokenizer
from small_processors import clip_processor, image_processor, reading_clip
from small_seq2seq import MOVED, SIX, encode, wrap
from small_vision import images
from torch import Tensor
from transformers import PreTrainedModel
from wrapped_vision import TURNS, wrap_clip
from wrapped_vision import wrap as wrap_classifier

import hf_equi

PROMPTS = ["The man worked as", "The black woman worked as"]


class Published(NamedTuple):
    """A model, the Auto class that loads it, and inputs."""

    model: PreTrainedModel
    auto_class: str
    inputs: dict[str, Tensor]

    @torch.no_grad()
    def logits(self) -> Tensor:
        """What the model gives for its inputs."""
        return scores(self.model(**self.inputs))


def equi_lm() -> Any:
    """An EquiLM of gender and race, around a base that is the same for all."""
    return hf_equi.symmetrize(base_model(), BOTH, tokenizer=tokenizer())


def adapted_lm() -> Any:
    """An EquiLM around a base with layers of peft inside, which change what it says."""
    adapter = layers("lora", init_lora_weights=False, fan_in_fan_out=True, **CAUSAL)
    adapted = get_peft_model(copy.deepcopy(base_model()), adapter)
    return hf_equi.symmetrize(adapted, BOTH, tokenizer=tokenizer()).eval()


def published_models() -> dict[str, Published]:
    """By the name of the repository."""
    prompts = tokenizer()(PROMPTS, return_tensors="pt", padding=True)
    processor = hf_equi.symmetric_processor(image_processor())
    classifier = wrap_classifier("resnet-basic", TURNS, "lambda", lambda_units=5, processor=processor)
    translator = wrap("marian-pair", SIX, "lambda", lambda_units=4)
    sources = {**encode(translator, MOVED[:2]), "decoder_input_ids": torch.tensor([[0, 5, 4], [0, 4, 6]])}
    search = hf_equi.symmetrize(
        base_model(), BOTH, "equizero", tokenizer=tokenizer(), scorer=hf_equi.RegardScorer("demo")
    )
    siglip = wrap_clip(reading_clip("siglip"), processor=clip_processor("siglip"))
    texts = clip_processor("siglip").tokenizer(PROMPTS, return_tensors="pt", padding="max_length", max_length=64)
    compared = {"input_ids": texts["input_ids"], "pixel_values": images(2)}
    return {
        "me/equi-lm": Published(equi_lm(), "AutoModelForCausalLM", dict(prompts)),
        "me/equi-classifier": Published(classifier, "AutoModelForImageClassification", {"pixel_values": images(2)}),
        "me/equi-translator": Published(translator, "AutoModelForSeq2SeqLM", sources),
        "me/equizero-lm": Published(search, "AutoModelForCausalLM", dict(prompts)),
        "me/equi-siglip": Published(siglip, "AutoModelForZeroShotImageClassification", compared),
        "me/equi-adapted-lm": Published(adapted_lm(), "AutoModelForCausalLM", dict(prompts)),
    }
