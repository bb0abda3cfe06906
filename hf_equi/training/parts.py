"""Which weights belong to which part of a symmetrised model."""

from __future__ import annotations

from typing import Any

from torch import nn

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.image_classification import EquiForImageClassification
from hf_equi.models.peft.bases import is_adapted
from hf_equi.symmetrizers import Select, Weigh

__all__ = ["PARTS", "parameters_of", "require_wrapper"]

PARTS = ("lambda", "canonicalizer", "base", "last_layers", "all")
"""The parts by name."""
_NETWORKS = {
    "lambda": (Weigh.network_name, "λ", "'lambda', 'canonical_lambda' or 'attention'"),
    "canonicalizer": (Select.network_name, "canonicalizer", "'canonical' or 'canonical_lambda'"),
}
"""For each part that is a network: its name in a model, what it is, and the methods that have it."""


def parameters_of(model: Any, part: str) -> list[nn.Parameter]:
    """Return the weights of a part of a model.

    Args:
        model: A symmetrised model.
        part: `"lambda"`, the network that weighs the members of an orbit; `"canonicalizer"`, the one that selects one
            of them; `"base"`; `"last_layers"`, the last two layers of a classifier's base, with everything registered
            after the first of them: the head, and the last linear layer or convolution before it; `"all"`, the base
            and all networks of the method. For a base that peft has adapted, `"base"` is the part that is trained now:
            what peft has frozen stays frozen.

    Raises:
        ConfigurationError: For an unknown part, a part that the model lacks, or a model that is not symmetrised; for
            the last layers of a base that peft has adapted, and for such a base if all of it is frozen.

    Example:
        >>> from transformers import ViTConfig, ViTForImageClassification
        >>> from hf_equi import ImageGroup, symmetrize
        >>> sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
        >>> base = ViTForImageClassification(ViTConfig(image_size=16, patch_size=8, num_labels=3, **sizes))
        >>> model = symmetrize(base, ImageGroup.rotations(4))
        >>> [tuple(weight.shape) for weight in parameters_of(model, "last_layers") if weight.dim() > 1]
        [(8, 16), (3, 8)]
    """
    require_wrapper(model)
    if part == "base":
        return _base_weights(model.base)
    if part == "last_layers":
        return _last_layers(model)
    found = {of.network_name: of.network for of in model.method.parts if of.network is not None}
    networks = {name: network for name, network in found.items() if getattr(network, "learns", True)}
    if part == "all":
        return [*_base_weights(model.base), *(weight for one in networks.values() for weight in one.parameters())]
    check_choice("trains", part, PARTS)
    kind, what, methods = _NETWORKS[part]
    weights = list(networks[kind].parameters()) if kind in networks else []
    if kind in found.keys() - networks.keys():
        raise ConfigurationError(f"A {type(found[kind]).__name__} is not trained: train the base, or take another")
    if not weights:
        raise ConfigurationError(
            f"method={model.config.method!r} has no {what} to train: symmetrize the base with method={methods}, or "
            "train the base"
        )
    return weights


def require_wrapper(model: Any) -> None:
    """Refuse a model that is not symmetrised.

    Raises:
        ConfigurationError: For such a model.
    """
    if not isinstance(model, EquiPreTrainedModel):
        raise ConfigurationError(
            f"A {type(model).__name__} has no phases: make a model with hf_equi.symmetrize(model, group). If peft has "
            "wrapped the model, peft decides what is trained."
        )


def _base_weights(base: Any) -> list[nn.Parameter]:
    """Return all weights of the base, or only those that peft trains."""
    weights = list(base.parameters())
    if not is_adapted(base):
        return weights
    trained = [weight for weight in weights if weight.requires_grad]
    if not trained:
        raise ConfigurationError(
            "peft has adapted this base, but no part of it is trained: activate its adapter again with "
            "model.unwrap().set_adapter(name), or load it with is_trainable=True. `Phase.applied` restores the "
            "earlier state of the base, `Phase.prepare` does not."
        )
    return trained


def _last_layers(model: Any) -> list[nn.Parameter]:
    """Return the weights of the head, and of the body from its last layer on."""
    if not isinstance(model, EquiForImageClassification):
        raise ConfigurationError(
            f"Only classifiers have last layers, and {type(model).__name__} is not a classifier: train 'base', or "
            "adapters of peft"
        )
    base: Any = model.base
    if is_adapted(base):
        raise ConfigurationError(
            "peft has adapted this base and frozen its last layers: train 'base' or 'all', which is what peft trains "
            "of it, or merge the adapter first: symmetrize(model.unwrap().merge_and_unload(), group)"
        )
    body = base.base_model  # the base itself, if it has no body
    layers = [module for module in base.modules() if getattr(module, "weight", None) is not None]
    layers = [module for module in layers if module.weight.dim() > 1]
    # If a base wraps a model of another library, its body includes the head: then it is not a separate body.
    inside = set(body.modules())
    inside = set() if all(layer in inside for layer in layers) else inside
    # Heads stand side by side: those of a class token and of a distillation token form one layer.
    heads = [layer for layer in layers if layer not in inside] if inside else layers[-1:]
    before = [layer for layer in layers if layer not in heads]
    weights = list(base.parameters())
    if not before:
        return weights
    start = next(i for i, weight in enumerate(weights) if weight is before[-1].weight)
    of_body = {id(weight) for weight in body.parameters()} if inside else {id(weight) for weight in weights}
    return [weight for i, weight in enumerate(weights) if i >= start or id(weight) not in of_body]
