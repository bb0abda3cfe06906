"""The groups, and the tables of what the experiments on moved CIFAR-10 measure and train."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from hf_equi import ImageGroup
from hf_equi.training import Phase

ARCHITECTURES = {"resnet": "ResNet", "vit": "ViT"}
GROUPS = {"rot90": ImageGroup.rotations(4), "flip": ImageGroup.flips("both")}
ZERO_SHOT: dict[str, dict[str, Any]] = {
    "base": {"method": "identity"},
    "equitune": {"method": "equitune"},
    "equitune, probabilities": {"method": "equitune", "level": "probabilities"},
    "equizero": {"method": "equizero"},
    "equizero, entropy": {"method": "equizero", "loss": "entropy"},
    "equizero, published rule": {"method": "equizero", "loss": "published_least_confident"},
}
# Adam instead of plain gradient descent on four images at a time, with 25 times fewer steps.
ADAM = Phase("lambda", "lambda", 1e-3, max_steps=1000, batch_size=128, optimizer="adamw_torch")
PUBLISHED_CLIP = Phase("lambda", "lambda", 0.3, max_steps=1000, batch_size=32)
WEIGHED: dict[str, tuple[dict[str, Any], Phase]] = {
    "λ-equitune": ({"method": "lambda"}, ADAM),
    "λ-equitune, dropout": ({"method": "lambda", "lambda_dropout": 0.5}, ADAM),
    "λ-equitune, rate 0.3": ({"method": "lambda"}, PUBLISHED_CLIP),
    "attention": ({"method": "attention"}, ADAM),
    "attention, dropout": ({"method": "attention", "lambda_dropout": 0.5}, ADAM),
}
ALL = Phase("finetune", "all", 2e-4, epochs=1, optimizer="adamw_torch")
LAST = Phase("probe", "last_layers", 1e-3, epochs=1)
FINETUNED: dict[str, tuple[dict[str, Any], Phase]] = {
    "augmentation": ({"method": "identity"}, ALL),
    "augmentation, 4 epochs": ({"method": "identity"}, replace(ALL, epochs=4)),  # as much computation as four views
    "equitune": ({"method": "equitune"}, ALL),
    "equizero": ({"method": "equizero"}, ALL),
    "equizero, entropy": ({"method": "equizero", "loss": "entropy"}, ALL),
    "λ-equitune": ({"method": "lambda"}, ALL),
    "attention": ({"method": "attention"}, ALL),
    "equitune, last two layers": ({"method": "equitune"}, LAST),
    "λ-equitune, last two layers": ({"method": "lambda"}, LAST),
    "equizero, published rule": ({"method": "equizero", "loss": "published_least_confident"}, ALL),
}
# Only for the ResNet. Its features are the mean of its maps; those of the ViT are a token that both levels read.
FINETUNED_SPATIAL: dict[str, tuple[dict[str, Any], Phase]] = {
    "equitune, spatial": ({"method": "equitune", "level": "spatial"}, ALL),
    "λ-equitune, spatial": ({"method": "lambda", "level": "spatial"}, ALL),
}
NETWORKS = {"lambda": "λ-equitune", "attention": "attention"}  # which finetuning starts from, by method


def finetuned_by(architecture: str) -> dict[str, tuple[dict[str, Any], Phase]]:
    """Return all that is finetuned for an architecture."""
    return FINETUNED | (FINETUNED_SPATIAL if architecture == "resnet" else {})


def finetune_stage(transform: str) -> str:
    """Return the name of the stage that finetunes for one group."""
    return f"finetune_{transform}"


def file_name(name: str) -> str:
    """Return the name of a model of the tables as a part of file names."""
    return re.sub(r"[^\w.]+", "_", name.replace("λ", "lambda"))
