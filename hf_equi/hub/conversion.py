"""From a pretrained checkpoint to a symmetrised one in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from huggingface_hub.constants import REPOCARD_NAME
from transformers import PreTrainedModel

from hf_equi.auto import symmetrize
from hf_equi.errors import ConfigurationError
from hf_equi.groups import FiniteGroup

__all__ = ["convert"]


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
    """Symmetrise a checkpoint and save what came out, with a model card, to a folder.

    Args:
        base: A name on the Hub, a folder, `"demo"`, or a model.
        output: The folder, new or empty.
        group: The group.
        method: As in `symmetrize`.
        save_base: `False` stores the base by its name and revision on the Hub, and no weights.
        license: The licence, as the Hub spells it; by default that of the base's own card.
        **settings: As in `symmetrize`.

    Returns:
        The symmetrised model.

    Raises:
        ConfigurationError: For a folder that is not empty, before anything is loaded; for `save_base=False` and a
            base that is not on the Hub, or a method with weights of its own.
        HfEquiError: As `symmetrize`.

    Example:
        >>> import tempfile
        >>> from hf_equi import DemographicGroup
        >>> from hf_equi.hub import convert
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     lm = convert("demo", folder, DemographicGroup([["man", "woman"], ["he", "she"]]))
        ...     sorted(path.name for path in Path(folder).iterdir())[:2]
        ['README.md', 'config.json']
    """
    folder = Path(output)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigurationError(f"{folder} is there already and not empty: name a new folder to write to")
    model = symmetrize(base, group, method, **settings)
    card = model.make_card(folder / REPOCARD_NAME, save_base, license=license)
    model.save_pretrained(folder, save_base=save_base)
    (folder / REPOCARD_NAME).write_text(card, encoding="utf-8")
    return model
