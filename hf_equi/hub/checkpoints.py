"""Load a symmetrised checkpoint from a folder, with every check that comes before publishing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME

from hf_equi.bases.reading import AGAIN, reading
from hf_equi.bases.weight_files import read_index
from hf_equi.errors import ConfigurationError
from hf_equi.models.configuration_equi import EquiConfig
from hf_equi.models.hub.contents import LOADER, is_weights
from hf_equi.models.hub.staging import unfinished
from hf_equi.registration import tasks

__all__ = ["load_checkpoint"]


def load_checkpoint(folder: Path) -> tuple[Any, bool]:
    """Load a checkpoint of this library.

    Args:
        folder: The folder that `save_pretrained` wrote.

    Returns:
        The model, and whether the folder holds its base's weights.

    Raises:
        ConfigurationError: If the folder holds no such checkpoint; if weights, tokenizer or group do not fit the rest;
            if files that the config names are missing, or weights that it does not name are present.
    """
    if not (folder / CONFIG_NAME).is_file():
        raise ConfigurationError(
            f"{folder} holds no {CONFIG_NAME}, so it is not a checkpoint: make one with hf-equi convert, or with "
            f"save_pretrained of a symmetrised model.{unfinished(folder)}"
        )
    try:
        with reading(f"The file {folder / CONFIG_NAME}", AGAIN):
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The {CONFIG_NAME} in {folder} cannot be read: {str(error).rstrip('.')}. Save the model again."
        ) from error
    if not isinstance(config, EquiConfig):
        raise ConfigurationError(
            f"{folder} holds a {config.model_type!r} model, which is not symmetrised: convert it with hf-equi convert "
            f"{folder} OUT, and publish the result."
        )
    _check_files(folder, config)
    known = next(task.auto_class for task in tasks().values() if type(config) in task.auto_class._model_mapping)
    return known.from_pretrained(folder), config.stores_base


def _check_files(folder: Path, config: EquiConfig) -> None:
    """Refuse weights that nobody would load, such as those of an earlier save, and configs without their module."""
    there = {path.name for path in folder.iterdir() if is_weights(path.name)}
    loaded = set()
    if config.stores_base and SAFE_WEIGHTS_NAME in there:
        loaded = {SAFE_WEIGHTS_NAME}
    elif config.stores_base and SAFE_WEIGHTS_INDEX_NAME in there:
        loaded = {SAFE_WEIGHTS_INDEX_NAME, *read_index(folder / SAFE_WEIGHTS_INDEX_NAME)}
    if stray := sorted(there - loaded):
        raise ConfigurationError(
            f"{folder} holds {', '.join(stray[:3])}, which its config does not load: they come from an earlier save. "
            "Delete them, or save the model to a new folder."
        )
    for name in (getattr(config, "auto_map", None) or {}).values():
        if f"{name.rpartition('.')[0]}.py" != LOADER:
            raise ConfigurationError(
                f"The {CONFIG_NAME} in {folder} names {name!r} in its auto_map, where a save writes {LOADER}. With "
                "trust_remote_code=True other code would run. Save the model again."
            )
        if not (folder / LOADER).is_file():
            raise ConfigurationError(
                f"{folder} lacks {LOADER}, with which trust_remote_code=True loads the model. Save the model again."
            )
