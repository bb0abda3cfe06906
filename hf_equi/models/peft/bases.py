"""Bases that peft has adapted: how they are wrapped, and rebuilt when their wrapper is loaded."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.models.peft.prompt_tuned import PromptTunedModel
from hf_equi.models.peft.prompt_tuned_lm import PromptTunedLM
from hf_equi.models.peft.prompt_tuned_seq2seq_lm import PromptTunedSeq2SeqLM

__all__ = [
    "WHOLE_KINDS",
    "attach_adapter",
    "bare_base",
    "check_acts_in_layers",
    "check_adapter_names",
    "describe_adapter",
    "has_adapter_layers",
    "is_adapted",
    "noted_adapters",
    "refused_prompts",
]

# Initial prompts are read off texts, but stored ones already have their values. The names of the base and of its
# tokenizer may be folders of this machine.
_FORGOTTEN = {
    "base_model_name_or_path": None,
    "prompt_tuning_init": "RANDOM",
    "prompt_tuning_init_state_dict_path": None,
    "prompt_tuning_init_text": None,
    "tokenizer_kwargs": None,
    "tokenizer_name_or_path": None,
}
# Some LoRA variants, such as PiSSA, start from the weights of their base. Here base and adapter already have their
# values. peft needs the true value when it loads the adapter alone.
_BEGINNING = "init_lora_weights"
# The kinds of layers that are restored bit for bit. Others hold indices or projections that are neither parameters nor
# stored buffers, and are lost when a checkpoint is loaded.
WHOLE_KINDS = (
    "ADALORA",
    "C3A",
    "DELORA",
    "GRALORA",
    "HRA",
    "IA3",
    "LN_TUNING",
    "LOHA",
    "LOKR",
    "LORA",
    "MISS",
    "ROAD",
)
_ALONE = "model.unwrap().save_pretrained(folder)"
_PROMPT_TUNED: tuple[type[PromptTunedModel], ...] = (PromptTunedLM, PromptTunedSeq2SeqLM)


def bare_base(model: Any) -> Any:
    """Return the transformers model that stands for a base.

    Args:
        model: A `PeftModel`, or anything else.

    Returns:
        For a `PeftModel` whose adapters are layers, the model that holds them; for one with prompts, a `PromptTunedLM`
        or a `PromptTunedSeq2SeqLM`; anything else unchanged.

    Raises:
        UnsupportedModelError: For adapters that act in the forward of the `PeftModel` itself; for prompts of a model
            that is not a language model; and as in those classes.
    """
    peft = sys.modules.get("peft")  # a peft model exists only if peft was imported
    if peft is None or not isinstance(model, peft.PeftModel):
        return model
    if model.active_peft_config.is_prompt_learning:
        return _with_prompts(model, peft)
    for config in model.peft_config.values():
        check_acts_in_layers(config)
    return model.get_base_model()


def _with_prompts(model: Any, peft: Any) -> PromptTunedModel:
    """Return the model that stands for a `PeftModel` with prompts, by its class."""
    for kind in _PROMPT_TUNED:
        if isinstance(model, getattr(peft, kind.peft_class)):
            return kind(model)
    raise UnsupportedModelError(
        f"A {type(model).__name__} with the prompts of {model.peft_type.value} cannot be symmetrised. Only language "
        'models can: causal ones with task_type="CAUSAL_LM", text-to-text ones with "SEQ_2_SEQ_LM". Use LoRA or IA³, '
        "in the base or in the symmetrised model."
    )


def check_acts_in_layers(config: Any) -> None:
    """Refuse an adapter that is more than layers: what a `PeftModel` computes from texts ignores their orbits.

    Raises:
        UnsupportedModelError: For X-LoRA, Poly, adaption prompts and activated LoRA.
    """
    if config.peft_type in ("XLORA", "POLY", "ADAPTION_PROMPT") or getattr(config, "alora_invocation_tokens", None):
        name = "activated LoRA" if config.peft_type == "LORA" else str(config.peft_type.value)
        raise UnsupportedModelError(
            f"An adapter of the kind {name} does more than add layers to the base: it reads the texts of a call, "
            "while the base reads the rows of their orbits, or it replaces layers. Use an adapter that only adds "
            "layers, such as LoRA or IA³."
        )


def check_adapter_names(arguments: Mapping[str, Any], model: nn.Module) -> None:
    """Refuse a separate adapter for each sample: the base reads the rows of orbits, several for each sample.

    Args:
        arguments: The arguments of a call.
        model: The symmetrised model that is called. Inside a `PeftModel` the layers are told the adapters, but not the
            model.

    Raises:
        ConfigurationError: For `adapter_names`.
    """
    told = getattr(model, "peft_config", None) is not None and _untell(model)
    if told or arguments.get("adapter_names") is not None:
        raise ConfigurationError(
            "adapter_names= names an adapter for each sample of a batch, but the base reads the rows of orbits, "
            "several for each sample. Call the model once for each adapter, after set_adapter(name)."
        )


def _untell(model: nn.Module) -> bool:
    """Return whether layers were told an adapter for each sample, and clear it, as peft does not after an error."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415  imported already

    def hooks(layer: nn.Module) -> list[int]:
        own = layer._forward_pre_hooks
        return [key for key, hook in own.items() if "adapter_names" in getattr(hook, "keywords", {})]

    first = next((module for module in model.modules() if isinstance(module, BaseTunerLayer)), None)
    if first is None or not hooks(first):
        return False
    for layer in model.modules():
        for key in hooks(layer):
            del layer._forward_pre_hooks[key]
            layer._forward_pre_hooks_with_kwargs.pop(key, None)
    return True


def refused_prompts(name: str) -> ConfigurationError:
    """Return the error for virtual tokens that would stand before the texts of a symmetrised model.

    Args:
        name: The class of the model.
    """
    return ConfigurationError(
        "A group acts on tokens, but the virtual tokens of prompt tuning, prefix tuning and p-tuning are not tokens, "
        f"so {name} cannot read them. Put them inside the base of a language model, causal or text-to-text: "
        "symmetrize(get_peft_model(base, config), group). For other models use LoRA or IA³."
    )


def has_adapter_layers(model: nn.Module) -> bool:
    """Return whether a model holds layers of peft.

    Example:
        >>> has_adapter_layers(nn.Linear(2, 2))
        False
    """
    if "peft" not in sys.modules:
        return False
    from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415  imported already

    return any(isinstance(module, BaseTunerLayer) for module in model.modules())


def is_adapted(base: nn.Module) -> bool:
    """Return whether peft has adapted a base, with layers or with prompts.

    Example:
        >>> is_adapted(nn.Linear(2, 2))
        False
    """
    return isinstance(base, PromptTunedModel) or has_adapter_layers(base)


def noted_adapters(model: Any) -> dict[str, Any] | None:
    """Return the settings of the adapters in the base of a symmetrised model, by their names.

    Args:
        model: A symmetrised model.

    Returns:
        Those settings, or `None` if there is no adapter, or one that transformers saves on its own.

    Raises:
        ConfigurationError: For an adapter that was put on the symmetrised model itself.
    """
    base = model.base
    if not is_adapted(base):
        return None
    if getattr(model, "_hf_peft_config_loaded", False):  # by model.add_adapter: transformers saves only the adapter
        return None
    adapters: dict[str, Any] | None = getattr(base, "peft_config", None)
    if adapters is None or getattr(model, "peft_config", None) is not None:
        raise ConfigurationError(
            "This model holds an adapter that peft saves on its own: adapted.save_pretrained(folder). To save the "
            "whole model, merge the adapter first: adapted.merge_and_unload().save_pretrained(folder)."
        )
    return adapters


def describe_adapter(model: Any) -> dict[str, Any] | None:
    """Return what a symmetrised model has to store about the adapter of its base.

    Args:
        model: A symmetrised model.

    Returns:
        The name and the settings of the adapter, in a form that JSON can hold, or `None` if there is no adapter.

    Raises:
        ConfigurationError: For several adapters; for one on the symmetrised model itself; for one of a kind that would
            not load unchanged; for one on weights that the base ties.
    """
    adapters = noted_adapters(model)
    if adapters is None:
        return None
    if len(adapters) > 1:
        prompted = isinstance(model.base, PromptTunedModel)
        raise ConfigurationError(
            f"A checkpoint holds one adapter, but the base has {', '.join(map(repr, adapters))}: delete the others "
            "with unwrap().delete_adapter(name)"
            + ("" if prompted else ", or merge them with unwrap().merge_and_unload()")
        )
    ((name, config),) = adapters.items()
    _check_loadable(model.base, config)
    settings = {key: _FORGOTTEN.get(key, value) for key, value in config.to_dict().items()}
    stored: dict[str, Any] = json.loads(json.dumps({"name": name, "settings": settings}, default=sorted))
    return stored


def _check_loadable(base: nn.Module, config: Any) -> None:
    """Refuse an adapter whose checkpoint would load with other values, or not at all."""
    if tied := _on_tied_weights(base):
        raise ConfigurationError(
            f"peft has adapted {', '.join(tied)}, but the base ties its embeddings, so a checkpoint would load with "
            f"other values. Save only the adapter, {_ALONE}, or adapt other layers."
        )
    if not _is_kept_whole(config):
        raise ConfigurationError(
            f"A checkpoint cannot hold a whole adapter of the kind {config.peft_type.value}, because it may load with "
            "other values. Merge it first, model.unwrap().merge_and_unload(), and symmetrize the result, or save "
            f"only the adapter: {_ALONE}."
        )


def _is_kept_whole(config: Any) -> bool:
    return config.is_prompt_learning or config.peft_type in WHOLE_KINDS


def _on_tied_weights(base: nn.Module) -> list[str]:
    """Return the parts of a base that peft has wrapped and that have tied weights, such as embeddings and a head."""
    from peft.tuners.tuners_utils import BaseTunerLayer  # noqa: PLC0415  imported already
    from peft.utils.other import AuxiliaryTrainingWrapper  # noqa: PLC0415

    ties: dict[str, str] = getattr(base, "all_tied_weights_keys", None) or {}
    tied = {*ties, *ties.values()}
    return [
        name
        for name, part in base.named_modules()
        if isinstance(part, (BaseTunerLayer, AuxiliaryTrainingWrapper))
        and any(weight.startswith(f"{name}.") for weight in tied)
    ]


def attach_adapter(base: PreTrainedModel, stored: dict[str, Any]) -> Any:
    """Put a new adapter on a base, as `describe_adapter` has noted it; its weights come with the checkpoint's.

    Args:
        base: The model. peft changes it in place.
        stored: The name and the settings of the adapter.

    Returns:
        The `PeftModel`.

    Raises:
        ConfigurationError: For settings that the installed peft does not know; for a kind that no save stores, because
            some kinds load another model, which may bring a pickle or code of its own.
    """
    from peft import PeftConfig, get_peft_model  # noqa: PLC0415  takes a second to import, and most models do not need it

    try:
        settings = {key: _FORGOTTEN.get(key, value) for key, value in stored["settings"].items()}
        beginning = {_BEGINNING: settings[_BEGINNING]} if _BEGINNING in settings else {}
        config = PeftConfig.from_peft_type(**{**settings, **dict.fromkeys(beginning, True)})
        if not _is_kept_whole(config):
            raise ValueError(f"no checkpoint holds an adapter of the kind {config.peft_type}")
        with (
            warnings.catch_warnings()
        ):  # warnings about layers noted as they are, and about peft's calls of transformers
            warnings.simplefilter("ignore")
            model = get_peft_model(base, config, adapter_name=stored["name"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(
            f"adapter={stored!r} is not an adapter that the installed peft can make: use the version with which it "
            "was saved"
        ) from error
    for setting, value in beginning.items():
        setattr(model.peft_config[stored["name"]], setting, value)
    if prompts := getattr(model, "prompt_encoder", None):
        # Over a base in half precision peft makes them in float32; here the default is the base's own dtype.
        prompts.to(torch.promote_types(base.dtype, torch.float32))
    for name, tokens in getattr(model, "prompt_tokens", {}).items():
        # Neither parameter nor buffer: made on `meta` while a checkpoint is loaded, it would never be restored.
        model.prompt_tokens[name] = torch.arange(len(tokens), device="cpu")
    return model
