"""A small CLIP for CIFAR-10: its processor, its two towers, and the zero-shot rule of Radford et al. 2021."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from cifar import MEAN, SIDE, STD, CifarImages
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch.nn import functional as F
from torch.utils.data import DataLoader
from transformers import (
    AutoModel,
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    CLIPTextConfig,
    CLIPVisionConfig,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

# CLIP takes an end token of id 2 for that of old checkpoints, and then uses the largest id instead.
PAD, START, UNKNOWN, END = SPECIAL = ("<|pad|>", "<|startoftext|>", "<|unknown|>", "<|endoftext|>")
LENGTH = 24


def captions(classes: Sequence[str], templates: Sequence[str]) -> list[str]:
    """Return every template for the first class, then for the next."""
    return [template.format(name) for name in classes for template in templates]


def make_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Make a tokenizer whose tokens are the words and punctuation marks of the texts, in lower case."""
    core = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.Punctuation()]
    )
    words = {
        word for text in texts for word, _ in core.pre_tokenizer.pre_tokenize_str(core.normalizer.normalize_str(text))
    }
    vocabulary = {token: i for i, token in enumerate([*SPECIAL, *sorted(words)])}
    core.model = models.WordLevel(vocabulary, unk_token=UNKNOWN)
    core.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, vocabulary[token]) for token in (START, END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        bos_token=START,
        eos_token=END,
        unk_token=UNKNOWN,
        model_max_length=LENGTH,
    )


def make_processor(texts: Sequence[str]) -> CLIPProcessor:
    """Make a processor of images and texts."""
    images = CLIPImageProcessorPil(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=list(MEAN),
        image_std=list(STD),
    )
    return CLIPProcessor(images, make_tokenizer(texts))


def make_model(tokenizer: PreTrainedTokenizerBase) -> CLIPModel:
    """Make a model of two small towers with random weights."""
    width, tower = 96, {"hidden_size": 96, "intermediate_size": 384, "num_attention_heads": 3, "projection_dim": 96}
    config = CLIPConfig(
        text_config=CLIPTextConfig(
            **tower,
            vocab_size=len(tokenizer),
            num_hidden_layers=2,
            max_position_embeddings=LENGTH,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        ).to_dict(),
        vision_config=CLIPVisionConfig(**tower, num_hidden_layers=4, image_size=SIDE, patch_size=4).to_dict(),
        projection_dim=width,
    )
    # On a CPU with 65 tokens, eager attention trains twice as fast as fused attention. The checkpoint is the same.
    model: CLIPModel = AutoModel.from_config(config, attn_implementation="eager")
    return model


def encode_captions(
    tokenizer: PreTrainedTokenizerBase, classes: Sequence[str], templates: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Return the inputs of every caption, classes × templates × tokens: `(C, T, L)` each."""
    texts = captions(classes, templates)
    inputs = tokenizer(texts, padding=True, truncation=True, return_tensors="pt", return_token_type_ids=False)
    return {name: rows.view(len(classes), len(templates), -1) for name, rows in inputs.items()}


@torch.no_grad()
def class_embeddings(model: CLIPModel, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return unit vectors `(C, F)`: for each class the mean direction of its captions, from `encode_captions`."""
    count, each, length = inputs["input_ids"].shape
    rows = model.get_text_features(**{name: rows.view(-1, length) for name, rows in inputs.items()}).pooler_output
    return F.normalize(F.normalize(rows, dim=-1).view(count, each, -1).mean(1), dim=-1)


@torch.no_grad()
def zero_shot_accuracy(
    model: CLIPModel, embeddings: torch.Tensor, images: CifarImages, batch_size: int = 500
) -> float:
    """Return how often, in per cent, the class nearest to an image in direction is its own.

    Args:
        model: The model.
        embeddings: The embeddings of the classes `(C, F)`, from `class_embeddings`.
        images: The images to classify.
        batch_size: The number of images at a time.
    """
    right = 0
    for batch in DataLoader(images, batch_size=batch_size):
        features = model.get_image_features(pixel_values=batch["pixel_values"]).pooler_output
        right += int(((features @ embeddings.T).argmax(-1) == batch["labels"]).sum())
    return 100 * right / len(images)
