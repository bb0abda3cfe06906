"""Models of transformers inside canonicalizers: how configs describe one, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import nn
from transformers import AutoConfig, PreTrainedModel

from hf_equi.errors import ConfigurationError

__all__ = ["answer_of", "described", "read_described"]


def described(network: nn.Module | None) -> dict[str, Any] | None:
    """Return the class and config of a network, if it is a model of transformers; otherwise `None`."""
    name = type(network).__name__
    if not isinstance(network, PreTrainedModel) or getattr(transformers, name, None) is not type(network):
        return None
    return {"class": name, "config": network.config.to_dict()}


def read_described(content: Mapping[str, Any]) -> PreTrainedModel:
    """Return the model that `described` described, with new weights.

    Raises:
        ConfigurationError: If transformers has no such model.
    """
    name = content["class"]
    model_class = getattr(transformers, name, None)
    if not (isinstance(model_class, type) and issubclass(model_class, PreTrainedModel)):
        raise ConfigurationError(f"transformers has no model {name!r}, which the canonicalizer of this config needs")
    config = dict(content["config"])
    made: PreTrainedModel = model_class(AutoConfig.for_model(config.pop("model_type"), **config))
    return made


def answer_of(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Return what a network says of inputs: the logits of a model of transformers, otherwise its output."""
    out = network(x)
    answer = out if isinstance(out, torch.Tensor) else getattr(out, "logits", None)
    if not isinstance(answer, torch.Tensor):
        raise ConfigurationError(
            f"A {type(network).__name__} returns neither a tensor nor logits, so it cannot score the members of an "
            "orbit: wrap it in a module that returns a tensor"
        )
    return answer
