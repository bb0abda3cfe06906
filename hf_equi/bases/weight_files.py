"""The weight files that may be read from a checkpoint: only complete safetensors files inside it."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub.errors import LocalEntryNotFoundError
from safetensors import safe_open
from transformers import PreTrainedConfig
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

from hf_equi.bases.compat import find_file
from hf_equi.bases.reading import AGAIN, reading
from hf_equi.errors import ConfigurationError

__all__ = ["ADAPTER_NAME", "read_index", "require_safetensors"]

ADAPTER_NAME = "adapter_config.json"
"""The file of a peft adapter that names its base."""
_OTHERS = ("pytorch_model*.bin*", "tf_model*.h5*", "flax_model*.msgpack*")
"""The weights that older releases of transformers wrote: whole, in parts, with their index, in any variant."""
_INDEX = ".safetensors.index."
_NAMED_WEIGHTS = "transformers_weights"
"""The entry of a config that names its weights."""
_OF_RELEASES = "configuration_files"
"""The entry of a config that names other configs, one for each range of releases."""


def require_safetensors(name: Any, variant: str | None = None, config: Any = None, **hub: Any) -> None:
    """Refuse a checkpoint without safetensors, one that names other weight files, and files that cannot be read.

    If it is asked for safetensors and there are none, transformers lets a service convert the pickle file, and sends
    the user's token to it. If it is not asked for safetensors, it reads any file that an index or a config names.

    Args:
        name: A folder or a name on the Hub.
        variant: The variant of the weights, as in `from_pretrained`.
        config: The config that `from_pretrained` gets instead of that of the checkpoint, if any.
        **hub: Arguments of `from_pretrained` about the repository: `revision`, `subfolder`, `token` and so on.

    Raises:
        ConfigurationError: For such a checkpoint.
        OSError: If no repository has that name, as in transformers.
    """
    if Path(name).is_file():
        raise ConfigurationError(f"{name} is a file: pass the folder that holds it, with the model's {CONFIG_NAME}")
    _check_adapter(name, hub)
    own, every = _named_weights(config if isinstance(config, PreTrainedConfig) else _read_config(config or name, hub))
    for named in every:
        _check_weights(name, _named_file(name, named), hub)
    for file in _usual_files(variant) if own is None else [_named_file(name, own)]:
        if _check_weights(name, file, hub):
            return
    if _is_elsewhere(name, hub):
        others = _cached_others(name, hub)
        there = f"The cache holds {', '.join(others[:2])} of {name} but no safetensors"
        raise ConfigurationError(
            f"{there}, and the Hub cannot be reached. hf_equi loads only safetensors, because a pickle file may run "
            "code when it is read. If the repository has safetensors, load it once with a connection. If not, save "
            "the model again with its save_pretrained, and use that folder."
            if others
            else f"The weights of {name} are not in the cache, and the Hub cannot be reached. Load it once with a "
            "connection, or pass a folder."
        )
    folder = Path(name, hub.get("subfolder") or "")
    if folder.is_dir() and not _others(folder):
        raise ConfigurationError(
            f"{folder} holds no weights: {_usual_files(variant)[0]} is missing. Save the model there with its "
            "save_pretrained, or name the folder that holds its weights."
        )
    raise ConfigurationError(
        f"{name} holds no safetensors, and hf_equi does not load pickle files such as pytorch_model.bin, which may "
        "run code when they are read. Save the model again with its save_pretrained, and use that folder."
    )


def _is_elsewhere(name: Any, hub: dict[str, Any]) -> bool:
    """Whether a repository may hold safetensors although its cache, which is all that can be read, has none."""
    try:
        cached_file(name, SAFE_WEIGHTS_NAME, **hub)
    except OSError as error:
        return isinstance(error.__cause__, LocalEntryNotFoundError)
    return False


def _cached_others(name: Any, hub: dict[str, Any]) -> list[str]:
    """Return the weight files other than safetensors beside the cached config of a repository."""
    config = find_file(name, CONFIG_NAME, **{**hub, "local_files_only": True})
    return [] if config is None else _others(Path(config).parent)


def _others(folder: Path) -> list[str]:
    """Return the weight files of a folder other than safetensors."""
    names = sorted(path.name for path in folder.iterdir())
    return [name for name in names if any(fnmatchcase(name, known) for known in _OTHERS)]


def _read_config(name: Any, hub: dict[str, Any]) -> object:
    """Return the content of a checkpoint's config, from the file that transformers reads for this release."""
    if (path := find_file(name, CONFIG_NAME, **hub)) is None and not Path(name).is_dir():
        path = cached_file(name, CONFIG_NAME, **hub)  # its error says why there is none
    if path is None:
        return {}
    with reading(f"The file {path}", AGAIN):
        config: object = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(config, dict) and _OF_RELEASES in config:
            config = PreTrainedConfig.get_config_dict(name, **hub)[0]
    return config


def _named_weights(config: object) -> tuple[object, list[object]]:
    """Return the weight file that a config names, if any, and all that it and its parts name: any may be loaded."""
    own = getattr(config, _NAMED_WEIGHTS, None) if isinstance(config, PreTrainedConfig) else None
    parts: list[Any] = [config.to_dict() if isinstance(config, PreTrainedConfig) else config]
    if own is None and isinstance(parts[0], dict):
        own = parts[0].get(_NAMED_WEIGHTS)
    named: list[object] = []
    while parts:
        part = parts.pop()
        if isinstance(part, dict):
            renamed = part.get("attribute_map")  # another entry may be read in its place
            keys = [_NAMED_WEIGHTS, renamed.get(_NAMED_WEIGHTS) if isinstance(renamed, dict) else None]
            named += [part[key] for key in keys if isinstance(key, str) and part.get(key) is not None]
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return own, named


def _named_file(name: Any, named: object) -> str:
    return _check_plain(named, f"The config of {name}", (".safetensors", f"{_INDEX}json"))


def _usual_files(variant: str | None) -> list[str]:
    """Return the files that transformers looks for, in its order."""
    parts = (file.rsplit(".", 1) for file in (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME))
    return [f"{stem}.{ending}" if variant is None else f"{stem}.{variant}.{ending}" for stem, ending in parts]


def _check_weights(name: Any, file: str, hub: dict[str, Any]) -> bool:
    """Refuse an incomplete weight file, or an index that names other files; return whether there is a file."""
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
    """Return the weight files that an index names, each once.

    Args:
        path: The index.

    Raises:
        ConfigurationError: If the index cannot be read, or names files other than safetensors beside it.
    """
    with reading(f"The file {path}", AGAIN):
        index = json.loads(path.read_text(encoding="utf-8"))
        names = sorted({*index["weight_map"].values()}, key=str)
        dict(index["metadata"])  # transformers needs it
    for name in names:
        _check_plain(name, f"The file {path}", (".safetensors",))
    return names


def _check_plain(name: object, where: str, endings: tuple[str, ...]) -> str:
    """Refuse the name of a file that is not a safetensors file, or is elsewhere."""
    if not (isinstance(name, str) and name.endswith(endings) and not set(name) & set("/\\:\0")):
        raise ConfigurationError(
            f"{where} names {name!r} among its weights. hf_equi loads only safetensors, from the folder of the "
            f"checkpoint, because a pickle file may run code when it is read. {AGAIN}"
        )
    return name


def _check_header(path: Path) -> None:
    """Refuse an incomplete weight file. A file that is not downloaded yet is left to transformers."""
    if path.exists():
        with reading(f"The file {path}", AGAIN), safe_open(path, framework="pt") as file:
            file.keys()


def _check_adapter(name: Any, hub: dict[str, Any]) -> None:
    """Refuse an adapter beside the weights: with it, transformers may load another base, or a pickle file."""
    if find_file(name, ADAPTER_NAME, **hub) is not None:
        raise ConfigurationError(
            f"{name} holds a peft adapter ({ADAPTER_NAME}), so transformers would load the base that the adapter "
            f"names. Load that base, then PeftModel.from_pretrained(base, {str(name)!r}), and symmetrize it. An "
            "adapter beside a whole model must have its own folder."
        )
