"""Symmetrised vision models as their formulas say: one image, one element and one base forward at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus
from transformers import PreTrainedModel

from hf_equi import ImageGroup, PixelAction

Weigh = Callable[[list[Tensor]], list[Tensor]]
"""From the features of all members, each `(F,)`, to their weights."""


@dataclass(frozen=True)
class Literal:
    """What a symmetrised model should say of one image.

    Args:
        base: The base.
        cut: Where it is cut.
        group: The group.
        head: From features `(1, F)` to logits `(1, C)`.
        sigmoid: Whether each class is a question of its own.
    """

    base: PreTrainedModel
    cut: Any
    group: ImageGroup
    head: Callable[[Tensor], Tensor]
    sigmoid: bool = False

    def members(self, image: Tensor) -> list[dict[str, Tensor]]:
        """What the base says of all gx of an image `(C, H, W)`, by level.

        `"astray"` is the level of maps with a fault: they are moved by g and not by its inverse.
        """
        members = []
        for g in range(self.group.order):
            moved = PixelAction(self.group).apply(g, image[None])
            features = self.cut.features(self.base, moved)
            logits = self.head(features)
            action = self.cut.map_action(self.group, self.base, image.shape[-2:])
            maps = self.cut.maps(self.base, moved)
            members.append(
                {
                    "features": features,
                    "logits": logits,
                    "probabilities": logits.sigmoid() if self.sigmoid else logits.softmax(-1),
                    "spatial": action.invert(g, maps),
                    "astray": action.apply(g, maps),
                }
            )
        return members

    def logits(self, members: list[dict[str, Tensor]], level: str, choice: str | Weigh = "mean") -> Tensor:
        """The logits `(C,)` of an orbit.

        Args:
            members: Of an image.
            level: What of them is combined.
            choice: `"mean"`, `"class"`, the name of a loss whose least member is taken, or what gives weights.
        """
        combined = self.combine(members, level, choice)
        if level == "features":
            return self.head(combined)[0]
        if level in ("spatial", "astray"):
            return self.head(self.cut.pool(self.base, combined))[0]
        if level == "probabilities":
            return (combined.log() - (1 - combined).log() if self.sigmoid else combined.log())[0]
        return combined[0]

    def combine(self, members: list[dict[str, Tensor]], level: str, choice: str | Weigh = "mean") -> Tensor:
        """The sum of weights times values, or the largest values."""
        values, size = [member[level] for member in members], len(members)
        if choice == "class":
            best = values[0]
            for value in values[1:]:
                best = torch.where(value > best, value, best)
            return best
        if choice == "mean":
            weights: list[Any] = [1 / size] * size
        elif isinstance(choice, str):
            losses = [loss(member["logits"][0], choice) for member in members]
            weights = [float(g == losses.index(min(losses))) for g in range(size)]
        else:
            weights = choice([member["features"][0] for member in members])
        total = weights[0] * values[0]
        for weight, value in zip(weights[1:], values[1:], strict=True):
            total = total + weight * value
        return total


def loss(logits: Tensor, name: str) -> float:
    """A proxy loss of logits `(C,)`, by its formula."""
    probabilities = logits.softmax(-1).tolist()
    if name == "entropy":
        return -sum(p * math.log(p) for p in probabilities)
    if name == "similarity":
        return -max(logits.tolist())
    return {"max_probability": -max(probabilities), "published_least_confident": max(probabilities)}[name]


def lambda_weights(network: nn.Module) -> Weigh:
    r"""$\lambda(f_g) / \sum_h \lambda(f_h)$."""
    layers: Any = network.layers

    def weigh(features: list[Tensor]) -> list[Tensor]:
        weights = [softplus(layers(f))[0] for f in features]
        return [weight / sum(weights) for weight in weights]

    return weigh


def attention_weights(network: nn.Module) -> Weigh:
    r"""The mean over the queries h of $\text{softmax}_g \langle q_h, k_g \rangle / \sqrt d$."""
    model: Any = network

    def weigh(features: list[Tensor]) -> list[Tensor]:
        weights: list[Any] = [0.0] * len(features)
        for f in features:
            query = model.queries.weight @ f + model.queries.bias
            scores = torch.stack([query @ (model.keys.weight @ other) / math.sqrt(len(query)) for other in features])
            for g, share in enumerate(scores.softmax(0)):
                weights[g] = weights[g] + share / len(features)
        return weights

    return weigh


def literal_choice(model: Any, loss_name: str) -> str | Weigh:
    """How the method of a model combines."""
    method = model.config.method
    if method == "equizero":
        return "class" if getattr(model.config, "selection", "image") == "class" else loss_name
    if method == "lambda":
        return lambda_weights(model.lambda_network)
    return attention_weights(model.lambda_network) if method == "attention" else "mean"
