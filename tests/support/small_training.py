"""Tiny data sets of images and texts, and a Trainer that is quiet."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from small_vision import LABELS, classifier, clip, images
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast, Trainer

from hf_equi import ImageGroup, symmetrize

NAMES = ("cat", "dog", "ship", "frog")
QUIET: dict[str, Any] = {"use_cpu": True, "report_to": "none", "save_strategy": "no", "disable_tqdm": True}


def rows(count: int = 4) -> Dataset:
    """Random images with labels."""
    pixels, labels = images(count), [i % LABELS for i in range(count)]
    return Dataset.from_dict({"pixel_values": list(pixels.numpy()), "label": labels}).with_format("torch")


def classification(method: str = "lambda", family: str = "resnet-basic", **settings: Any) -> Any:
    return _wrap(classifier(family), method, settings)


def comparison(method: str = "lambda", **settings: Any) -> Any:
    return _wrap(clip("clip"), method, settings)


def _wrap(base: Any, method: str, settings: dict[str, Any]) -> Any:
    weighs = {"lambda_units": 8} if method in ("lambda", "attention") else {}
    return symmetrize(base, ImageGroup.rotations(4), method, **weighs, **settings)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a word, the end token behind them."""
    words = ["<pad>", "<unk>", "<end>", "a", "an", "photo", "of", "sketch", ".", *NAMES]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 2)])
    special = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "<end>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_max_length=16, **special)


def train(model: Any, phase: Any, folder: Any, data: Any, *, resume: Any = None, **settings: Any) -> Trainer:
    """Train a prepared model for two steps, or as the settings say."""
    collator = settings.pop("data_collator", None)
    metrics = settings.pop("compute_metrics", None)
    arguments = phase.arguments(folder, **{**QUIET, "max_steps": 2, "per_device_train_batch_size": 4, **settings})
    trainer = Trainer(
        model, arguments, data_collator=collator, train_dataset=data, eval_dataset=data, compute_metrics=metrics
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def snapshot(model: Any) -> dict[str, torch.Tensor]:
    """All weights and buffers."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(model: Any, before: dict[str, torch.Tensor]) -> set[str]:
    """What is no longer to the bit what it was."""
    return {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}


class Calls:
    """Counts how often the body of a base runs, on anything but shapes."""

    def __init__(self, model: Any) -> None:
        body = getattr(model.base, "vision_model", model.base.base_model)
        self.count = 0
        body.register_forward_pre_hook(self._one_more, with_kwargs=True)

    def _one_more(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.count += not any(torch.is_tensor(value) and value.is_meta for value in (*args, *kwargs.values()))
