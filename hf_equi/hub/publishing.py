"""Publishing a checkpoint: everything is checked and measured first, then goes up by one commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub.constants import REPOCARD_NAME
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public all the same

from hf_equi.errors import ConfigurationError
from hf_equi.hub.checkpoints import load_checkpoint
from hf_equi.models.hub.uploading import HUB_KEYWORDS, list_files, upload

__all__ = ["Publication", "prepare", "publish"]


@dataclass(frozen=True)
class Publication:
    """What would be published.

    Args:
        folder: The checkpoint.
        repo_id: The repository.
        card: The text of its `README.md`.
        files: The names of its files, the card among them.
    """

    folder: Path
    repo_id: str
    card: str
    files: tuple[str, ...]


def prepare(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    audit: str | os.PathLike[str] | dict[str, Any] | None = None,
    license: str | None = None,
    token: str | bool | None = None,
) -> Publication:
    """Check a checkpoint and make its card; nothing is written, and nothing on the Hub is changed.

    Args:
        folder: What `convert` or `save_pretrained` wrote.
        repo_id: The repository, `user/name`, or `name` for one's own.
        audit: As in `hf_equi.hub.write_card`.
        license: As in `hf_equi.hub.write_card`.
        token: For the Hub, which the base's card is read from.

    Raises:
        ConfigurationError: For a folder that holds no symmetrised checkpoint, or a pickle; for weights, a tokenizer or
            a group that do not fit the rest; and as `hf_equi.hub.write_card`.
    """
    path = Path(folder)
    try:
        validate_repo_id(repo_id)
    except ValueError as error:
        raise ConfigurationError(f"{repo_id!r} is no name of a repository: {error}") from error
    if not path.is_dir():
        raise ConfigurationError(f"There is no folder {path}: make one with hf-equi convert")
    files = list_files(path)
    model, stores_base = load_checkpoint(path)
    about = {"audit": audit, "license": license, "repo_id": repo_id, "token": token}
    card = model.make_card(path / REPOCARD_NAME, stores_base, **about)
    return Publication(path, repo_id, card, tuple(sorted({*files, REPOCARD_NAME})))


def publish(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    audit: str | os.PathLike[str] | dict[str, Any] | None = None,
    license: str | None = None,
    token: str | bool | None = None,
    **hub: Any,
) -> str:
    """Upload a checkpoint with a model card, by one commit.

    The checkpoint is loaded and checked and its equivariance error measured before the Hub is asked for anything. The
    card goes into the folder too. What a `Trainer` keeps for itself (`training_args.bin`, `checkpoint-*`) stays here,
    and what it wrote of the training goes on into the card; `Trainer(push_to_hub=True)` by itself writes another card,
    without these facts.

    Args:
        folder: What `convert` or `save_pretrained` wrote, with or without the base's weights.
        repo_id: The repository, `user/name`, or `name` for one's own; made where there is none.
        audit: The folder that `hf-equi audit` wrote of this model, whose figures go into the card.
        license: The licence, as the Hub spells it; by default that of the card in the folder, or of the base's.
        token: For the Hub; by default the one of the login.
        **hub: `private`, whether a new repository is; `revision`, a branch; `create_pr`; `commit_message` and
            `commit_description`.

    Returns:
        The URL of the commit.

    Raises:
        ConfigurationError: As `prepare`.
        TypeError: For another keyword, before anything is done.
        PublishingError: If the upload does not go through. The message says what state the repository is in.
    """
    if unknown := sorted(set(hub) - set(HUB_KEYWORDS)):
        raise TypeError(f"publish has no arguments {', '.join(unknown)}: it takes {', '.join(HUB_KEYWORDS)}")
    publication = prepare(folder, repo_id, audit=audit, license=license, token=token)
    (publication.folder / REPOCARD_NAME).write_text(publication.card, encoding="utf-8")
    return str(upload(publication.folder, publication.files, repo_id, token=token, **hub))
