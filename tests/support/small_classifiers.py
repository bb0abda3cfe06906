"""A random classifier of texts, and what it makes of them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from small_models import tokenizer
from transformers import DistilBertConfig, DistilBertForSequenceClassification

LABELS = ("negative", "neutral", "positive")
TEXTS = ["the man was known for it", "he", "the woman worked as a nurse and a driver", "he", "an asian person"]


@lru_cache
def classifier(labels: tuple[str, ...] = LABELS, **settings: Any) -> DistilBertForSequenceClassification:
    """A random DistilBERT of two layers with these labels."""
    torch.manual_seed(1)
    config = DistilBertConfig(
        vocab_size=len(tokenizer()),
        dim=32,
        hidden_dim=32,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=24,
        initializer_range=0.3,
        pad_token_id=1,
        num_labels=len(labels),
        id2label=dict(enumerate(labels)),
        **settings,
    )
    return DistilBertForSequenceClassification(config).eval()


def logits(text: str, labels: tuple[str, ...] = LABELS) -> torch.Tensor:
    """The outputs of the classifier for one text."""
    ids = torch.tensor([tokenizer()(text)["input_ids"][:24]])
    with torch.no_grad():
        return classifier(labels)(input_ids=ids).logits[0]


def expected(text: str, labels: tuple[str, ...] = LABELS) -> dict[str, float]:
    """The softmax of the classifier's outputs for one text, by label."""
    return dict(zip(labels, logits(text, labels).softmax(-1).tolist(), strict=True))
