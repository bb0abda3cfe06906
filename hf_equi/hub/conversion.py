"""Turn a pretrained checkpoint into a symmetrised one in a folder."""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

from huggingface_hub.constants import REPOCARD_NAME
from transformers import PreTrainedModel

from hf_equi.auto import symmetrize
from hf_equi.errors import ConfigurationError, HfEquiWarning
from hf_equi.groups import FiniteGroup
from hf_equi.models.hub.staging import leftovers, unfinished

__all__ = ["check_output", "convert"]


def convert(
    base: str | Path | PreTrainedModel,
    output: str | os.PathLike[str],
    group: FiniteGroup,
    method: str = "equitune",
    *,
    save_base: bool = True,
    license: str | None = None,
    **settings: Any,
) -> Any:
    """Symmetrise a checkpoint and save the result, with a model card, to a folder.

    The files are written to a new folder first, `OUTPUT.partial-...`, and moved to their place once all of them exist.

    Args:
        base: A name on the Hub, a folder, `"demo"`, or a model.
        output: The folder, which must be new or empty.
        group: The group.
        method: As in `symmetrize`.
        save_base: `False` stores the base by its name and revision on the Hub, and no weights.
        license: The licence, in the Hub's spelling; by default that of the base's own card.
        **settings: As in `symmetrize`.

    Returns:
        The symmetrised model.

    Warns:
        HfEquiWarning: If a conversion to this folder was killed. The message names what it left.

    Raises:
        ConfigurationError: For a folder that is not empty or cannot be written, before anything is loaded; for a full
            disk; for `save_base=False` with a base that is not on the Hub, or a method with weights of its own.
        HfEquiError: As in `symmetrize`.

    Example:
        >>> import tempfile
        >>> from hf_equi import DemographicGroup
        >>> from hf_equi.hub import convert
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lm = convert("demo", folder, DemographicGroup([["man", "woman"], ["he", "she"]]))
        ...     sorted(path.name for path in Path(folder).iterdir())[:2]
        ['README.md', 'config.json']
    """
    if not isinstance(save_base, bool):
        raise ConfigurationError(f"save_base={save_base!r} is not a boolean: use True or False")
    folder = Path(output)
    check_output(folder)
    model = symmetrize(base, group, method, **settings)
    card = model.make_card(folder / REPOCARD_NAME, save_base, license=license)
    model.save_with_card(folder, card, save_base=save_base)
    return model


def check_output(folder: Path) -> None:
    """Refuse a folder that is in use, or that cannot be created, which this tries.

    Args:
        folder: The place to write to.

    Raises:
        ConfigurationError: For such a folder.
    """
    left = leftovers(folder)
    if os.path.isfile(folder) or (os.path.isdir(folder) and not set(folder.iterdir()) <= set(left)):
        raise ConfigurationError(
            f"{folder} already exists and is not empty: name a new folder to write to.{unfinished(folder)}"
        )
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    try:
        folder.exists()  # fails for a name that is too long
        with tempfile.TemporaryDirectory(dir=there):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be written in {there} ({error.strerror}): name another folder to write to"
        ) from error
    if left:
        warnings.warn(
            f"{', '.join(map(str, left))}: left by a conversion to {folder} that was killed. Delete it, unless a "
            "conversion is still running.",
            HfEquiWarning,
            stacklevel=3,
        )
