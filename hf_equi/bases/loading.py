"""Loading weights: from safetensors alone, all of them, and finite numbers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from hf_equi.bases.compat import find_file
from hf_equi.bases.reading import reading
from hf_equi.errors import ConfigurationError, HfEquiWarning

__all__ = [
    "AGAIN",
    "SafeLoadingMixin",
    "check_complete",
    "check_finite",
    "load_checked",
    "load_safetensors",
    "load_to_train",
    "read_index",
    "require_safetensors",
    "without_question",
]

AGAIN = "Take the checkpoint as it was published, or save the model again."
"""What to do about a damaged checkpoint."""
_OR_RANDOM = f"{AGAIN} Where they are to begin at random, load the model with transformers, and pass the object."
_ADAPTER = "adapter_config.json"
_ADAPTER_WEIGHTS = "adapter_model.safetensors"
_ADAPTER_PLACE = "_adapter_model_path"
"""What an Auto class calls the place of an adapter among the `adapter_kwargs`."""
_INDEX = ".safetensors.index."
_NAMED_WEIGHTS = "transformers_weights"
"""The entry of a config that names its weights."""
_OF_RELEASES = "configuration_files"
"""The entry of a config that names others, one for each range of releases."""
_OF_REPOSITORY = ("cache_dir", "force_download", "local_files_only", "token", "revision", "subfolder", "proxies")
_OF_OTHER_WEIGHTS = ("gguf_file", "key_mapping", "subfolder", "variant")
"""The arguments by which a name stands for other weights than without them."""
_CHECKED = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
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
            that are not finite numbers.
        OSError: For a name without a model, as in transformers.

    Cost: one pass over the weights that are on a device, beside the loading.
    """
    if name is not None and kwargs.get("gguf_file") is None:
        hub = {key: kwargs[key] for key in _OF_REPOSITORY if key in kwargs}
        require_safetensors(name, kwargs.get("variant"), kwargs.get("config"), **hub)
    may_differ = kwargs.get("ignore_mismatched_sizes", False)
    changes: dict[str, Any] = {"use_safetensors": True, "output_loading_info": True, "ignore_mismatched_sizes": True}
    where = "the call" if name is None else name
    adapter, options = _find_adapter(kwargs)
    if adapter is not None:  # behind the base, as transformers would tell of the loading of the adapter alone
        changes["adapter_kwargs"] = options
    with reading("What the call gives" if name is None else f"The checkpoint {name}", AGAIN):
        model, information = load(name, *args, **{**kwargs, **changes})
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


def require_safetensors(name: Any, variant: str | None = None, config: Any = None, **hub: Any) -> None:
    """Refuse a checkpoint without safetensors, one that would have others read, and files that cannot be.

    Asked to load safetensors where there are none, transformers would have a service convert the pickle, and send it
    the user's token. Asked for none of them, it reads whatever an index or a config names.

    Args:
        name: A folder or a name on the Hub.
        variant: Of the weights, as `from_pretrained` takes it.
        config: What `from_pretrained` is given in the place of the config of the checkpoint, if anything.
        **hub: What `from_pretrained` takes of the repository: `revision`, `subfolder`, `token` and so on.

    Raises:
        ConfigurationError: For such a checkpoint.
        OSError: For a name without a repository, as in transformers.
    """
    if Path(name).is_file():
        raise ConfigurationError(f"{name} is a file: name the folder that holds it, with the model's {CONFIG_NAME}")
    _check_adapter(name, hub)
    own, every = _named_weights(config if isinstance(config, PreTrainedConfig) else _read_config(config or name, hub))
    for named in every:
        _check_weights(name, _named_file(name, named), hub)
    for file in _usual_files(variant) if own is None else [_named_file(name, own)]:
        if _check_weights(name, file, hub):
            return
    raise ConfigurationError(
        f"{name} holds no safetensors, and hf_equi loads no pickle such as pytorch_model.bin, which may run code when "
        "it is read. Have the model saved again, by its save_pretrained, and use that folder."
    )


def _read_config(name: Any, hub: dict[str, Any]) -> object:
    """What the config of a checkpoint holds, of the file that transformers reads for this release."""
    if (path := find_file(name, CONFIG_NAME, **hub)) is None and not Path(name).is_dir():
        path = cached_file(name, CONFIG_NAME, **hub)  # which says why there is none
    if path is None:
        return {}
    with reading(f"The file {path}", AGAIN):
        config: object = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(config, dict) and _OF_RELEASES in config:
            config = PreTrainedConfig.get_config_dict(name, **hub)[0]
    return config


def _named_weights(config: object) -> tuple[object, list[object]]:
    """The file of weights that a config names, if it does, and all that it and its parts name: one may be loaded."""
    own = getattr(config, _NAMED_WEIGHTS, None) if isinstance(config, PreTrainedConfig) else None
    parts: list[Any] = [config.to_dict() if isinstance(config, PreTrainedConfig) else config]
    if own is None and isinstance(parts[0], dict):
        own = parts[0].get(_NAMED_WEIGHTS)
    named: list[object] = []
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            renamed = part.get("attribute_map")  # by which another entry is read in its place
            keys = [_NAMED_WEIGHTS, renamed.get(_NAMED_WEIGHTS) if isinstance(renamed, dict) else None]
            named += [part[key] for key in keys if isinstance(key, str) and part.get(key) is not None]
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return own, named


def _named_file(name: Any, named: object) -> str:
    return _check_plain(named, f"The config of {name}", (".safetensors", f"{_INDEX}json"))


def _usual_files(variant: str | None) -> list[str]:
    """The files that transformers looks for, in its order."""
    parts = (file.rsplit(".", 1) for file in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME))
    return [f"{stem}.{ending}" if variant is None else f"{stem}.{variant}.{ending}" for stem, ending in parts]


def _check_weights(name: Any, file: str, hub: dict[str, Any]) -> bool:
    """Refuse a file of weights that is not whole, or an index that names others; whether there is one."""
    found = find_file(name, file, **hub)
    if found is None:
        return False
    if _INDEX in file:  # before the variant
        for shard in read_index(Path(found)):
            _check_header(Path(found).parent / shard)
    else:
        _check_header(Path(found))
    return True


def read_index(path: Path) -> list[str]:
    """The files of weights that an index names, each once.

    Args:
        path: The index.

    Raises:
        ConfigurationError: For one that cannot be read, or that names others than safetensors beside it.
    """
    with reading(f"The file {path}", AGAIN):
        index = json.loads(path.read_text(encoding="utf-8"))
        names = sorted({*index["weight_map"].values()}, key=str)
        dict(index["metadata"])  # which transformers asks for
    for name in names:
        _check_plain(name, f"The file {path}", (".safetensors",))
    return names


def _check_plain(name: object, where: str, endings: tuple[str, ...]) -> str:
    """Refuse the name of a file that is not safetensors, or lies elsewhere."""
    if not (isinstance(name, str) and name.endswith(endings) and not set(name) & set("/\\:\0")):
        raise ConfigurationError(
            f"{where} names {name!r} among its weights. hf_equi loads safetensors alone, from the folder of the "
            f"checkpoint: a pickle may run code when it is read. {AGAIN}"
        )
    return name


def _check_header(path: Path) -> None:
    """Refuse a file of weights that is not whole; one that is still to be downloaded is left to transformers."""
    if path.exists():
        with reading(f"The file {path}", AGAIN), safe_open(path, framework="pt") as file:
            file.keys()


def _check_adapter(name: Any, hub: dict[str, Any]) -> None:
    """Refuse an adapter beside the weights, with which transformers may load another base, or a pickle."""
    if find_file(name, _ADAPTER, **hub) is not None:
        raise ConfigurationError(
            f"{name} holds an adapter of peft ({_ADAPTER}), with which transformers would load the base that it "
            f"names. Load that base, then PeftModel.from_pretrained(base, {str(name)!r}), and symmetrize it. An "
            "adapter that lies beside a whole model has to have a folder of its own."
        )


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
