"""Write the model card of a symmetrised model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from huggingface_hub.constants import REPOCARD_NAME
from transformers import PreTrainedModel

from hf_equi.errors import ConfigurationError
from hf_equi.hub.checkpoints import load_checkpoint
from hf_equi.models.base import EquiPreTrainedModel

__all__ = ["write_card"]


def write_card(
    model: PreTrainedModel | str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    audit: str | os.PathLike[str] | dict[str, Any] | None = None,
    license: str | None = None,
    repo_id: str | None = None,
) -> Path:
    r"""Write the model card of a symmetrised model, using only facts.

    One of these is the equivariance error, measured now over random inputs x and elements g, for model and base:

    $$ \max_{g, x} \left| g^{-1} M_G(gx) - M_G(x) \right| $$

    An error within the tolerance of the dtype is given as that bound, because its digits differ between machines.

    Args:
        model: A symmetrised model, or the folder of one.
        path: The file, or a folder in which it is written as `README.md`. From an existing card the licence, the
            language and a `Trainer`'s text about the training are kept.
        audit: The folder that `hf-equi audit` wrote, or its summary. The model is found in it by its class, method,
            group and weights.
        license: The licence, in the Hub's spelling; by default that of the existing card, or of the base's own card.
        repo_id: The repository that the usage lines load; by default they ask the reader to fill it in.

    Returns:
        The file.

    Raises:
        ConfigurationError: For a model that is not symmetrised; an audit of another group or base; a text model
            without its tokenizer; an error that is not finite; an existing card that others wrote.

    Cost: |G| calls of the model and |G| of its base, on a few short texts or two images.

    Example:
        >>> import tempfile
        >>> import hf_equi
        >>> from hf_equi.hub import write_card
        >>> lm = hf_equi.symmetrize("demo", hf_equi.DemographicGroup([["man", "woman"], ["he", "she"]]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     card = write_card(lm, folder, repo_id="me/equi-demo").read_text()
        >>> [line for line in card.splitlines() if line.startswith(("license", "| this model"))]
        ['license: apache-2.0', '| this model | at most 1e-05 |']
    """
    stores_base = True
    if isinstance(model, str | os.PathLike):
        model, stores_base = load_checkpoint(Path(model))
    if not isinstance(model, EquiPreTrainedModel):
        raise ConfigurationError(
            f"A {type(model).__name__} is not symmetrised, so it cannot have such a card: use "
            "hf_equi.symmetrize(model, group)"
        )
    file = Path(path)
    if file.is_dir() or not file.suffix:
        file = file / REPOCARD_NAME
    card = model.make_card(file, stores_base, audit=audit, license=license, repo_id=repo_id)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(card, encoding="utf-8")
    return file
