"""Loading of weights: only from safetensors, all of them, and only finite numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.bases.compat import find_file
from hf_equi.bases.finite import check_finite, check_finite_weights
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.bases.weight_files import require_safetensors
from hf_equi.errors import ConfigurationError, UntrainedWarning

__all__ = [
    "SafeLoadingMixin",
    "check_complete",
    "load_checked",
    "load_safetensors",
    "load_to_train",
    "without_question",
]

_OR_RANDOM = f"{AGAIN} If they should start at random, load the model with transformers and pass the object."
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_ADAPTER_PLACE = "_adapter_model_path"
"""The key by which an Auto class passes the place of an adapter in `adapter_kwargs`."""
_OF_REPOSITORY = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
_OF_OTHER_WEIGHTS = ("gguf_file", "key_mapping", "subfolder", "variant")
"""The arguments that make a name stand for different weights."""
_SETTINGS = ("attn_implementation", "device_map", "max_memory", "quantization_config", "tp_plan")
"""The arguments that can make loading fail, whatever the checkpoint holds."""
_SIZES = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
_SHOWN = 3
"""The most weights that a message names."""


def without_question(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments of `from_pretrained` with which transformers does not ask about a checkpoint's own code.

    By default it asks on the terminal if it may run the code, and takes anything on stdin as the answer.

    Args:
        arguments: The arguments of a call; only `trust_remote_code=True` lets code run.

    Raises:
        ConfigurationError: For a `trust_remote_code` that is neither true nor false, such as the text "False".
    """
    trust = arguments.get("trust_remote_code") or False
    if not isinstance(trust, bool):
        raise ConfigurationError(f"trust_remote_code={trust!r} is not True or False: pass one of them.")
    return {**arguments, "trust_remote_code": trust}


class SafeLoadingMixin:
    """A mixin for models that load only from safetensors, with all of their weights. It is the first of the bases."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a model as transformers does, except for what is refused.

        Raises:
            ConfigurationError: For a checkpoint without safetensors, or with weights that are missing or do not match
                its config; for weights that are not finite numbers.
        """
        asked = kwargs.pop("output_loading_info", False)
        load: Callable[..., Any] = super().from_pretrained  # type: ignore[misc]
        model, information = load_checked(load, pretrained_model_name_or_path, *args, **kwargs)
        check_complete(model, information, pretrained_model_name_or_path)
        return (model, information) if asked else model


def load_safetensors(auto_class: Any, name: str, **kwargs: Any) -> PreTrainedModel:
    """Load a pretrained model from safetensors only.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForCausalLM`.
        name: A folder or a name on the Hub.
        **kwargs: Arguments of `from_pretrained`. Code of the checkpoint runs only with `trust_remote_code=True`.

    Raises:
        ConfigurationError: If the checkpoint has no safetensors, is damaged, lacks weights, or has weights that are
            not finite numbers.
        OSError: If no model has that name, as in transformers.
    """
    model, information = load_checked(auto_class.from_pretrained, name, **without_question(kwargs))
    check_complete(
        model, {"missing_keys": information["missing_keys"]}, name
    )  # a checkpoint of another task may have more
    loaded: PreTrainedModel = model
    return loaded


def load_to_train(auto_class: Any, name: str, **kwargs: Any) -> tuple[PreTrainedModel, bool]:
    """Load a pretrained model as `load_safetensors` does, but allow a new head, whose weights start at random.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForImageClassification`.
        name: A folder or a name on the Hub.
        **kwargs: Arguments of `from_pretrained`.

    Returns:
        The model, and whether its name and revision alone give the same weights.

    Raises:
        ConfigurationError: As in `load_safetensors`, except for a checkpoint that lacks only weights of the head.
        OSError: If no model has that name, as in transformers.

    Warns:
        UntrainedWarning: For a new head.
    """
    model, information = load_checked(auto_class.from_pretrained, name, **without_question(kwargs))
    new = {key for key in information["missing_keys"] if not _is_in_body(model, key)}
    check_complete(model, {"missing_keys": information["missing_keys"] - new}, name, _OR_RANDOM)
    if new:
        warnings.warn(
            f"{name} lacks weights of a {type(model).__name__}: {_listed(new)}. They start at random: train them "
            "before you use the model.",
            UntrainedWarning,
            stacklevel=4,
        )
    others = [key for key in _OF_OTHER_WEIGHTS if kwargs.get(key)]
    return model, not (new or information["mismatched_keys"] or others)


def load_checked(load: Callable[..., Any], name: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Call a `from_pretrained` so that it reads only safetensors, and check that the weights are finite numbers.

    Args:
        load: The `from_pretrained`.
        name: A folder or a name on the Hub; `None` if the weights are an argument.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        The model, and what transformers reports about its loading.

    Raises:
        ConfigurationError: If the checkpoint has no safetensors, is damaged, or has weights of other shapes or that
            are not finite numbers; if its config has a negative size, or none of the layers; for a `dtype` that is not
            one of weights.
        OSError: If no model has that name, as in transformers.

    Cost: one pass over the weights that are on a device, in addition to the loading.
    """
    _check_dtype(kwargs)
    if name is not None and kwargs.get("gguf_file") is None:
        hub = {key: kwargs[key] for key in _OF_REPOSITORY if key in kwargs}
        require_safetensors(name, kwargs.get("variant"), kwargs.get("config"), **hub)
    may_differ = kwargs.get("ignore_mismatched_sizes", False)
    changes: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    where = "the call" if name is None else name
    adapter, options = _find_adapter(kwargs)
    if adapter is not None:  # after the base: transformers would report only on the adapter
        changes["adapter_kwargs"] = options
    with reading("What the call gives" if name is None else f"The checkpoint {name}", _advice(kwargs)):
        model, information = load(name, *args, **{**kwargs, **changes})
    _check_sizes(model.config, where)
    _check_layers(model, information["unexpected_keys"], where)
    if not may_differ:
        for key, stored, wanted in sorted(information["mismatched_keys"]):
            raise ConfigurationError(
                f"The weights of {where} do not fit its config: {key} has the shape {tuple(stored)} in the file, but "
                f"{tuple(wanted)} in the model. {AGAIN}"
            )
    check_finite_weights(model, where)
    if adapter is not None:
        _load_adapter(model, adapter, kwargs.get("adapter_name", "default"), options)
    return model, information


def _check_dtype(kwargs: Mapping[str, Any]) -> None:
    for name in ("dtype", "torch_dtype"):
        given = kwargs.get(name)
        dtype = getattr(torch, given, None) if isinstance(given, str) else given
        floating = isinstance(dtype, torch.dtype) and dtype.is_floating_point
        if not (given is None or given == "auto" or isinstance(given, Mapping) or floating):
            raise ConfigurationError(
                f"{name}={given!r} is not a dtype of weights: use 'auto', or one such as 'float32' or 'bfloat16'."
            )


def _advice(kwargs: Mapping[str, Any]) -> str:
    """Return what to do about a checkpoint that cannot be read, possibly because of a setting of the call."""
    given = [f"{name}={value!r:.60}" for name, value in kwargs.items() if name in _SETTINGS and value is not None]
    return f"This call sets {', '.join(given)}: try to load without. {AGAIN}" if given else AGAIN


def _check_sizes(config: Any, name: Any) -> None:
    """Refuse negative sizes, from which transformers silently makes a model without layers."""
    for part in (config, *(getattr(config, key, None) for key in config.sub_configs)):
        for size in _SIZES:
            value = getattr(part, size, None)
            if isinstance(value, int) and value < 0:
                raise ConfigurationError(f"The config of {name} is damaged: {size} is {value}. {AGAIN}")


def _check_layers(model: Any, unexpected: Iterable[object], name: Any) -> None:
    """Refuse a model without any of the layers that its checkpoint holds, whatever name their number has."""
    body = f"{model.base_model_prefix}."
    stacks = [
        place for place, part in model.named_modules() if isinstance(part, torch.nn.ModuleList) and not len(part)
    ]
    for key in sorted(map(str, unexpected)):
        for place in stacks:  # files of a body omit its name, files with a head include it
            if key.removeprefix(body).startswith(f"{place.removeprefix(body)}."):
                raise ConfigurationError(
                    f"The config of {name} is damaged: the model that it describes has no layers in {place}, but the "
                    f"weights have some, such as {key}. {AGAIN}"
                )


def check_complete(model: Any, information: dict[str, Any], name: Any, advice: str = AGAIN) -> None:
    """Refuse a model if its checkpoint lacks some of its weights or has others.

    Args:
        model: The model.
        information: What transformers reports about its loading.
        name: The source of the model, for the message.
        advice: What the reader can do, as the end of the message.

    Raises:
        ConfigurationError: For such a model.
    """
    quantized = getattr(model, "is_quantized", False)  # such checkpoints also hold the scales of their weights
    for kind in ("missing_keys",) if quantized else ("missing_keys", "unexpected_keys"):
        if names := information.get(kind):
            raise ConfigurationError(
                f"The weights of {name} do not fit its config: {kind.replace('_', ' ')} {_listed(names)}. {advice}"
            )


def _is_in_body(model: Any, key: str) -> bool:
    """Whether a weight belongs to the body, which a checkpoint always has, not to a head, which may be new."""
    body = model.base_model_prefix
    return not body or not hasattr(model, body) or key.startswith(f"{body}.")


def _find_adapter(kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the adapter by which an Auto class found this base, and the arguments of its repository."""
    options = dict(kwargs.get("adapter_kwargs") or {})
    adapter = options.pop(_ADAPTER_PLACE, None)
    hub = {key: options[key] for key in _OF_REPOSITORY if key in options}
    if adapter is not None and find_file(adapter, _ADAPTER_WEIGHTS, **hub) is None:
        raise ConfigurationError(
            f"{adapter} holds no {_ADAPTER_WEIGHTS}, and hf_equi does not load pickle files: load the adapter with "
            "peft, and save it again"
        )
    return adapter, options


def _load_adapter(model: Any, adapter: Any, name: str, options: dict[str, Any]) -> None:
    """Load an adapter into a base, with the same checks as for weights."""
    before = {id(parameter) for parameter in model.parameters()}
    with reading(f"The adapter {adapter}", AGAIN):
        information = model.load_adapter(str(adapter), name, adapter_kwargs=options)
    check_complete(model, {"missing_keys": information.missing_keys}, adapter)
    check_finite(((key, one) for key, one in model.named_parameters() if id(one) not in before), adapter)


def _listed(names: Iterable[object]) -> str:
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{', '.join(ordered[:_SHOWN])}{more}"
