"""The version, the device and the precision of a model, as given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from accelerate.utils import convert_file_size_to_int

from hf_equi.checks import check_choice
from hf_equi.cli.options import Loading, Origin
from hf_equi.errors import ConfigurationError

__all__ = ["from_hub", "read_placement"]

SPREAD = "auto"
DTYPES = ("float32", "bfloat16", "float16", "auto")
_DEVICES = "use cpu, cuda, one GPU such as cuda:0, or auto"


def from_hub(model: str, origin: Origin) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that choose the version of a model.

    Args:
        model: A folder, or a name on the Hub.
        origin: As on the command line.

    Raises:
        ConfigurationError: If a revision is given for a folder.
    """
    if origin.revision is not None and (model == "demo" or Path(model).is_dir()):
        raise ConfigurationError(
            f"--revision {origin.revision!r} applies to a model on the Hub, but {model} is a folder: leave it out."
        )
    revision = {} if origin.revision is None else {"revision": origin.revision}
    return {**revision, "trust_remote_code": origin.trust_remote_code}


def read_placement(options: Loading) -> tuple[torch.device | None, dict[str, Any]]:
    """Return where weights go, and the matching arguments of `from_pretrained`.

    Args:
        options: As on the command line.

    Returns:
        The device, or `None` for a model that `from_pretrained` spreads over several, and the arguments.

    Raises:
        ConfigurationError: For a device that does not exist, an unknown precision, and memory limits that cannot be
            read or would have no effect.
    """
    check_choice("--dtype", options.dtype, DTYPES)
    arguments: dict[str, Any] = {"dtype": options.dtype if options.dtype == "auto" else getattr(torch, options.dtype)}
    limits = None if options.max_memory is None else _read_limits(options.max_memory)
    if options.device == SPREAD or (options.device is None and limits is not None):
        return None, {**arguments, "device_map": SPREAD, **({} if limits is None else {"max_memory": limits})}
    if limits is not None:
        raise ConfigurationError(
            f"--max-memory has no effect with --device {options.device}, which gets all weights: use --device auto."
        )
    # Other accelerators lack float64, which the noise needs.
    return _read_device(options.device or ("cuda" if torch.cuda.is_available() else "cpu")), arguments


def _read_device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigurationError(f"--device={name!r} is not known: {_DEVICES}.") from error
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise ConfigurationError(
            f"--device={name!r} cannot be used: the noise of sampling needs 64-bit numbers, which this kind of device "
            f"may lack; {_DEVICES}."
        )
    _check_gpu(f"--device={name!r}", device.index or 0)
    return device


def _check_gpu(given: str, index: int) -> None:
    """Refuse a GPU that is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if index >= count:
        there = "cuda:0" if count == 1 else f"cuda:0 to cuda:{count - 1}"
        usable = f"{count} GPU{'s' if count > 1 else ''} ({there})" if count else "no GPU"
        raise ConfigurationError(
            f"{given} names GPU {index}, which does not exist: this torch can use {usable}. Leave it out, or use cpu."
        )


def _read_limits(text: str) -> dict[int | str, int]:
    limits: dict[int | str, int] = {}
    for part in text.split(","):
        place, equals, size = (piece.strip() for piece in part.partition("="))
        try:
            if not equals or not (place == "cpu" or place.isdecimal()):
                raise ValueError
            limits[int(place) if place.isdecimal() else place] = int(convert_file_size_to_int(size))
        except ValueError as error:
            raise ConfigurationError(
                f"--max-memory {part.strip()!r} is not a limit: write the number of a GPU or cpu, = and a size with "
                "its unit, such as 0=20GiB,cpu=60GiB."
            ) from error
        if place != "cpu":
            _check_gpu(f"--max-memory {part.strip()!r}", int(place))
    return limits
