"""Archives of agents of Stable-Baselines3: read without running anything in them."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hf_equi.bases.reading import AGAIN, reading
from hf_equi.errors import ConfigurationError

__all__ = ["StoredAgent", "read_archive"]

_MOST_BYTES = {"data": 2**28, "policy.pth": 2**31}
"""The largest size of each part, unpacked."""


@dataclass(frozen=True)
class StoredAgent:
    """The readable facts about an agent of Stable-Baselines3.

    Args:
        place: Where it is from, in words.
        weights: The weights of its policy, by name.
        states: The space of its observations: `":type:"`, the name of the class, and `shape` and `dtype`.
        actions: The space of its actions: `":type:"`, `n` and `start`.
        policy: The settings of its policy that are not the default, such as `activation_fn`, as text.
    """

    place: str
    weights: Mapping[str, torch.Tensor]
    states: Mapping[str, Any]
    actions: Mapping[str, Any]
    policy: Mapping[str, Any]

    @property
    def start(self) -> str:
        """The place as the beginning of a sentence."""
        return self.place[:1].upper() + self.place[1:]


def read_archive(path: str | os.PathLike[str]) -> StoredAgent:
    """Read an archive that the `save` of an agent wrote.

    `policy.pth` loads with `weights_only=True`, so that it can hold tensors alone. `data` is JSON; what it holds as
    pickles (`":serialized:"`) is never decoded, and the text beside them is read instead.

    Args:
        path: The archive; `.zip` may be left out.

    Raises:
        ConfigurationError: For a file that is not such an archive, is damaged or too large when unpacked, or whose
            weights could run code.
    """
    file = Path(path)
    if not file.is_file() and (zipped := Path(f"{file}.zip")).is_file():
        file = zipped
    if not file.is_file():
        raise ConfigurationError(f"{file} does not exist: name the archive that the agent's save() wrote")
    place = f"The archive {file}"
    with reading(place, AGAIN), zipfile.ZipFile(file) as archive:
        data = json.loads(_part(archive, "data", place))
        weights = _tensors(_part(archive, "policy.pth", place), place)
    if not isinstance(data, dict):
        raise ConfigurationError(f"{place}: its data is not a JSON object, so it is not an agent. {AGAIN}")
    return StoredAgent(
        f"the archive {file}",
        weights,
        _object(data, "observation_space", place),
        _object(data, "action_space", place),
        _object(data, "policy_kwargs", place) if data.get("policy_kwargs") is not None else {},
    )


def _part(archive: zipfile.ZipFile, name: str, place: str) -> bytes:
    """Return a part of an archive, unless it is missing or would fill the memory."""
    most = _MOST_BYTES[name]
    try:
        part = archive.getinfo(name)
    except KeyError as error:
        raise ConfigurationError(f"{place} has no part {name!r}, so it is not an agent. {AGAIN}") from error
    if part.file_size > most:
        raise ConfigurationError(
            f"{place}: its part {name!r} has {part.file_size} bytes unpacked, and at most {most} are read. {AGAIN}"
        )
    with archive.open(part) as content:
        return content.read(most)


def _tensors(content: bytes, place: str) -> dict[str, torch.Tensor]:
    """Return stored weights, by name."""
    file = io.BytesIO(content)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as packed:
            size = sum(part.file_size for part in packed.infolist())
        if size > _MOST_BYTES["policy.pth"]:
            raise ConfigurationError(f"{place}: its weights have {size} bytes unpacked, which is too much. {AGAIN}")
    file.seek(0)  # looking for a zip has moved it to its end
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigurationError(
            f"{place}: its policy.pth does not hold tensors alone, so loading it could run code. Nothing was run. "
            "Use an archive that an agent's save() wrote."
        ) from error
    if not isinstance(weights, dict) or not all(map(_is_weight, weights.values())):
        raise ConfigurationError(f"{place}: its policy.pth does not hold the weights of a network. {AGAIN}")
    return {str(name): weight for name, weight in weights.items()}


def _is_weight(value: Any) -> bool:
    """Return whether a value is a tensor of numbers that all lie in the file, and are not one number repeated."""
    if not isinstance(value, torch.Tensor) or value.device.type != "cpu" or value.layout != torch.strided:
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _object(data: Mapping[str, Any], name: str, place: str) -> Mapping[str, Any]:
    found = data.get(name)
    if not isinstance(found, dict):
        raise ConfigurationError(f"{place}: its data does not describe {name!r}. {AGAIN}")
    return found
