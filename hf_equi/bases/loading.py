"""Loading weights: from safetensors alone, all of them, and finite numbers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from transformers import PreTrainedModel

from hf_equi.bases.compat import find_file
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.bases.weight_files import require_safetensors
from hf_equi.errors import ConfigurationError, HfEquiWarning

__all__ = [
    "SafeLoadingMixin",
    "check_complete",
    "check_finite",
    "load_checked",
    "load_safetensors",
    "load_to_train",
    "without_question",
]

_OR_RANDOM = f"{AGAIN} Where they are to begin at random, load the model with transformers, and pass the object."
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_ADAPTER_PLACE = "_adapter_model_path"
"""What an Auto class calls the place of an adapter among the `adapter_kwargs`."""
_OF_REPOSITORY = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
_OF_OTHER_WEIGHTS = ("gguf_file", "key_mapping", "subfolder", "variant")
"""The arguments by which a name stands for other weights than without them."""
_CHECKED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
_SETTINGS = ("attn_implementation", "device_map", "max_memory", "quantization_config", "tp_plan")
"""The arguments that loading may fail by, whatever the checkpoint holds."""
_SIZES = ("hidden_size", "num_attention_heads", "num_hidden_layers", "vocab_size")
_SHOWN = 3
"""So many weights are named in a message."""


def without_question(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of `from_pretrained` with which transformers does not ask whether to run a checkpoint's own code.

    Left to itself it asks on the terminal, and takes whatever comes on stdin for an answer.

    Args:
        arguments: Those of a call; only `trust_remote_code=True` lets code run.

    Raises:
        ConfigurationError: For a `trust_remote_code` that is neither true nor false, such as the text "False".
    """
    trust = arguments.get("trust_remote_code") or False
    if not isinstance(trust, bool):
        raise ConfigurationError(f"trust_remote_code={trust!r} is not True or False: pass one of them.")
    return {**arguments, "trust_remote_code": trust}


class SafeLoadingMixin:
    """For models that are loaded from safetensors alone, with all of their weights; the first of their bases."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a model; as in transformers, but for what is refused.

        Raises:
            ConfigurationError: For a checkpoint without safetensors, or that lacks weights, or has others than its
                config says; for weights that are not finite numbers.
        """
        asked = kwargs.pop("output_loading_info", False)
        load: Callable[..., Any] = super().from_pretrained  # type: ignore[misc]
        model, information = load_checked(load, pretrained_model_name_or_path, *args, **kwargs)
        check_complete(model, information, pretrained_model_name_or_path)
        return (model, information) if asked else model


def load_safetensors(auto_class: Any, name: str, **kwargs: Any) -> PreTrainedModel:
    """Load a pretrained model from safetensors alone.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForCausalLM`.
        name: A folder or a name on the Hub.
        **kwargs: What `from_pretrained` takes. Code of the checkpoint runs with `trust_remote_code=True` alone.

    Raises:
        ConfigurationError: If the checkpoint holds no safetensors, is damaged, lacks weights, or holds some that are
            not finite numbers.
        OSError: For a name without a model, as in transformers.
    """
    model, information = load_checked(auto_class.from_pretrained, name, **without_question(kwargs))
    check_complete(model, {"missing_keys": information["missing_keys"]}, name)  # of another task it may have more
    loaded: PreTrainedModel = model
    return loaded


def load_to_train(auto_class: Any, name: str, **kwargs: Any) -> tuple[PreTrainedModel, bool]:
    """Load a pretrained model as `load_safetensors` does, but for a new head, whose weights begin at random.

    Args:
        auto_class: An Auto class of transformers, for example `AutoModelForImageClassification`.
        name: A folder or a name on the Hub.
        **kwargs: What `from_pretrained` takes.

    Returns:
        The model, and whether its name and revision alone give the same weights.

    Raises:
        ConfigurationError: As `load_safetensors`, but for a checkpoint that lacks weights of the head alone.
        OSError: For a name without a model, as in transformers.

    Warns:
        HfEquiWarning: For a new head.
    """
    model, information = load_checked(auto_class.from_pretrained, name, **without_question(kwargs))
    new = {key for key in information["missing_keys"] if not _is_in_body(model, key)}
    check_complete(model, {"missing_keys": information["missing_keys"] - new}, name, _OR_RANDOM)
    if new:
        warnings.warn(
            f"{name} lacks weights of a {type(model).__name__}: {_listed(new)}. They begin at random: train them "
            "before you use the model.",
            HfEquiWarning,
            stacklevel=4,
        )
    others = [key for key in _OF_OTHER_WEIGHTS if kwargs.get(key)]
    return model, not (new or information["mismatched_keys"] or others)


def load_checked(load: Callable[..., Any], name: Any, *args: Any, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
    """Call a `from_pretrained` so that it reads safetensors alone, and check that it gives finite numbers.

    Args:
        load: The `from_pretrained`.
        name: A folder or a name on the Hub; `None` where the weights are an argument.
        *args: As it takes them.
        **kwargs: As it takes them.

    Returns:
        The model, and what transformers tells of its loading.

    Raises:
        ConfigurationError: If the checkpoint holds no safetensors, is damaged, or holds weights of other shapes, or
            that are not finite numbers; if its config has a negative size, or none of the layers; for a `dtype` that
            is not one of weights.
        OSError: For a name without a model, as in transformers.

    Cost: one pass over the weights that are on a device, beside the loading.
    """
    _check_dtype(kwargs)
    if name is not None and kwargs.get("gguf_file") is None:
        hub = {key: kwargs[key] for key in _OF_REPOSITORY if key in kwargs}
        require_safetensors(name, kwargs.get("variant"), kwargs.get("config"), **hub)
    may_differ = kwargs.get("ignore_mismatched_sizes", False)
    changes: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    where = "the call" if name is None else name
    adapter, options = _find_adapter(kwargs)
    if adapter is not None:  # behind the base, as transformers would tell of the loading of the adapter alone
        changes["adapter_kwargs"] = options
    with reading("What the call gives" if name is None else f"The checkpoint {name}", _advice(kwargs)):
        model, information = load(name, *args, **{**kwargs, **changes})
    _check_sizes(model.config, where)
    _check_layers(model, information["unexpected_keys"], where)
    if not may_differ:
        for key, stored, wanted in sorted(information["mismatched_keys"]):
            raise ConfigurationError(
                f"The weights of {where} do not fit its config: {key} has the shape {tuple(stored)} in the file, and "
                f"{tuple(wanted)} in the model. {AGAIN}"
            )
    _check_finite(model, where)
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
    """What to do about a checkpoint that cannot be read, which may be due to a setting of the call."""
    given = [f"{name}={value!r:.60}" for name, value in kwargs.items() if name in _SETTINGS and value is not None]
    return f"This call sets {', '.join(given)}: see whether it loads without. {AGAIN}" if given else AGAIN


def _check_sizes(config: Any, name: Any) -> None:
    """Refuse negative sizes, of which transformers makes a model without layers, and says nothing."""
    for part in (config, *(getattr(config, key, None) for key in config.sub_configs)):
        for size in _SIZES:
            value = getattr(part, size, None)
            if isinstance(value, int) and value < 0:
                raise ConfigurationError(f"The config of {name} is damaged: {size} is {value}. {AGAIN}")


def _check_layers(model: Any, unexpected: Iterable[object], name: Any) -> None:
    """Refuse a model without any of the layers that its checkpoint holds, whatever the config calls their number."""
    body = f"{model.base_model_prefix}."
    stacks = [
        place for place, part in model.named_modules() if isinstance(part, torch.nn.ModuleList) and not len(part)
    ]
    for key in sorted(map(str, unexpected)):
        for place in stacks:  # files of a body leave its name out, and those with a head have it
            if key.removeprefix(body).startswith(f"{place.removeprefix(body)}."):
                raise ConfigurationError(
                    f"The config of {name} is damaged: the model that it describes has no layers in {place}, and the "
                    f"weights have some, such as {key}. {AGAIN}"
                )


def check_complete(model: Any, information: dict[str, Any], name: Any, advice: str = AGAIN) -> None:
    """Refuse a model some of whose weights were not in its checkpoint, or whose checkpoint has others.

    Args:
        model: The model.
        information: What transformers tells of its loading.
        name: What it was loaded from, for the message.
        advice: What the reader can do, as the end of the message.

    Raises:
        ConfigurationError: For such a model.
    """
    quantized = getattr(model, "is_quantized", False)  # whose checkpoints hold the scales of their weights, too
    for kind in ("missing_keys",) if quantized else ("missing_keys", "unexpected_keys"):
        if names := information.get(kind):
            raise ConfigurationError(
                f"The weights of {name} do not fit its config: {kind.replace('_', ' ')} {_listed(names)}. {advice}"
            )


def _is_in_body(model: Any, key: str) -> bool:
    """Whether a weight is one of the body, which a checkpoint always has, and not of a head, which may be new."""
    body = model.base_model_prefix
    return not body or not hasattr(model, body) or key.startswith(f"{body}.")


def _find_adapter(kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The adapter that was named to an Auto class, which found this base by it, and what its repository takes."""
    options = dict(kwargs.get("adapter_kwargs") or {})
    adapter = options.pop(_ADAPTER_PLACE, None)
    hub = {key: options[key] for key in _OF_REPOSITORY if key in options}
    if adapter is not None and find_file(adapter, _ADAPTER_WEIGHTS, **hub) is None:
        raise ConfigurationError(
            f"{adapter} holds no {_ADAPTER_WEIGHTS}, and hf_equi loads no pickle: load the adapter with peft, and "
            "save it again"
        )
    return adapter, options


def _load_adapter(model: Any, adapter: Any, name: str, options: dict[str, Any]) -> None:
    """Load an adapter into a base, checked as weights are."""
    before = {id(parameter) for parameter in model.parameters()}
    with reading(f"The adapter {adapter}", AGAIN):
        information = model.load_adapter(str(adapter), name, adapter_kwargs=options)
    check_complete(model, {"missing_keys": information.missing_keys}, adapter)
    check_finite(((key, one) for key, one in model.named_parameters() if id(one) not in before), adapter)


def _check_finite(model: torch.nn.Module, name: Any) -> None:
    """Refuse a model with weights that are not finite numbers, of those that are on a device."""
    stored = model.state_dict().keys()
    check_finite(model.named_parameters(), name)
    check_finite(((key, buffer) for key, buffer in model.named_buffers() if key in stored), name, masks=True)


def check_finite(tensors: Iterable[tuple[str, torch.Tensor]], name: Any, masks: bool = False) -> None:
    """Refuse weights that are not finite numbers.

    Args:
        tensors: The weights with their names. Those that are not on a device, or not plain, are left out.
        name: What they were loaded from, for the message.
        masks: Whether they may hide places by -inf, as the masks among buffers do.

    Raises:
        ConfigurationError: For the first that holds another number.
    """
    for key, tensor in tensors:
        data = tensor.detach()
        if data.dtype not in _CHECKED or data.is_meta or not data.numel() or type(tensor.data) is not torch.Tensor:
            continue
        least, most = torch.aminmax(data)
        if most.isfinite() and (least.isfinite() or (masks and least == -torch.inf)):
            continue
        raise ConfigurationError(
            f"The weights of {name} are damaged: {key} holds numbers that are not finite (NaN or infinity), as loaded "
            f"in {str(data.dtype).removeprefix('torch.')}. {AGAIN}"
        )


def _listed(names: Iterable[object]) -> str:
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else ""
    return f"{', '.join(ordered[:_SHOWN])}{more}"
