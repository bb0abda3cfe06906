"""Publish a checkpoint: everything is checked and measured first, then uploaded in one commit."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub.constants import REPOCARD_NAME

from hf_equi.display import shown
from hf_equi.errors import ConfigurationError, HfEquiWarning, warn
from hf_equi.hub.checkpoints import load_checkpoint
from hf_equi.models.hub.contents import all_states, file_states, read_contents
from hf_equi.models.hub.uploading import HUB_KEYWORDS, check_repo_id, upload

__all__ = ["Publication", "prepare", "publish", "send"]


@dataclass(frozen=True)
class Publication:
    """A publication that is ready to send.

    Args:
        folder: The checkpoint.
        repo_id: The repository.
        card: The text of its `README.md`.
        files: The names of its files, the card among them.
        left_out: The other files in the folder, which are not uploaded. The name of a folder ends with a slash.
        states: Lets `send` recognise that a file is the one that was checked; taken before the check began.
    """

    folder: Path
    repo_id: str
    card: str
    files: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    states: Mapping[str, tuple[int, ...]] = field(default_factory=dict, repr=False)


def prepare(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    audit: str | os.PathLike[str] | dict[str, Any] | None = None,
    license: str | None = None,
    token: str | bool | None = None,
) -> Publication:
    """Check a checkpoint and make its card. Nothing is written, and nothing on the Hub is changed.

    Args:
        folder: A folder that `convert` or `save_pretrained` wrote.
        repo_id: The repository, `user/name`, or `name` for one of your own.
        audit: As in `hf_equi.hub.write_card`.
        license: As in `hf_equi.hub.write_card`.
        token: The Hub token, used to read the base's card.

    Raises:
        ConfigurationError: If the folder holds no symmetrised checkpoint, or a link instead of one of its files; if
            weights, a tokenizer or a group do not fit the rest; if files change during the check; and as in
            `hf_equi.hub.write_card`.
    """
    path = Path(folder)
    check_repo_id(repo_id)
    if not path.is_dir():
        raise ConfigurationError(f"The folder {path} does not exist: make one with hf-equi convert")
    before = all_states(path)
    model, stores_base = load_checkpoint(path)
    about = {"audit": audit, "license": license, "repo_id": repo_id, "token": token}
    card = model.make_card(path / REPOCARD_NAME, stores_base, **about)
    contents = read_contents(path, model.companion_files(), card)
    files = tuple(sorted({*contents.files, REPOCARD_NAME}))
    publication = Publication(path, repo_id, card, files, contents.left_out, before)
    _check_same(publication)  # what was measured is what would be uploaded
    return publication


def publish(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    audit: str | os.PathLike[str] | dict[str, Any] | None = None,
    license: str | None = None,
    token: str | bool | None = None,
    **hub: Any,
) -> str:
    """Upload a checkpoint with a model card, in one commit.

    The checkpoint is loaded and checked and its equivariance error is measured before the Hub is contacted. The card
    is also written to the folder. Only files of the checkpoint are uploaded. They are listed on stderr before anything
    is sent, and a warning lists the other files in the folder. A `Trainer`'s text about the training is kept in the
    card. `Trainer(push_to_hub=True)` on its own writes another card, without these facts.

    Args:
        folder: A folder that `convert` or `save_pretrained` wrote, with or without the base's weights.
        repo_id: The repository, `user/name`, or `name` for one of your own; created if it does not exist.
        audit: The folder that `hf-equi audit` wrote for this model, whose figures go into the card.
        license: The licence, in the Hub's spelling; by default that of the card in the folder, or of the base's card.
        token: The Hub token; by default that of the login.
        **hub: `private`, whether a new repository is private; `revision`, a branch; `create_pr`; `commit_message` and
            `commit_description`.

    Returns:
        The URL of the commit.

    Warns:
        HfEquiWarning: If the folder holds other files. The message names them.

    Raises:
        ConfigurationError: As in `prepare`.
        TypeError: For an unknown keyword, before anything is done.
        PublishingError: If the upload fails. The message says what state the repository is in.
    """
    _check_keywords(hub)
    publication = prepare(folder, repo_id, audit=audit, license=license, token=token)
    sys.stderr.write(shown(f"Uploading to {publication.repo_id}: {', '.join(publication.files)}") + "\n")
    if publication.left_out:
        warn(
            f"{publication.folder} holds files that are not part of the checkpoint and are not uploaded: "
            f"{', '.join(publication.left_out)}",
            HfEquiWarning,
        )
    return send(publication, token=token, **hub)


def send(publication: Publication, *, token: str | bool | None = None, **hub: Any) -> str:
    """Upload what `prepare` has checked, in one commit, and write the card to the folder.

    Args:
        publication: The result of `prepare`.
        token: As in `publish`.
        **hub: As in `publish`.

    Returns:
        The URL of the commit.

    Raises:
        ConfigurationError: If a file has changed since, or has become a link.
        TypeError: As in `publish`.
        PublishingError: As in `publish`.
    """
    _check_keywords(hub)
    _check_same(publication)
    (publication.folder / REPOCARD_NAME).write_text(publication.card, encoding="utf-8")
    return str(upload(publication.folder, publication.files, publication.repo_id, token=token, **hub))


def _check_same(publication: Publication) -> None:
    """Refuse to upload files that `prepare` has not seen; the card may come from an earlier call."""
    folder, files = publication.folder, publication.files
    there = file_states(folder, files)
    changed = [name for name in files if name != REPOCARD_NAME and there[name] != publication.states.get(name)]
    if changed:
        raise ConfigurationError(
            f"{', '.join(changed[:3])} in {folder} changed after the check of the checkpoint began. Nothing was "
            "uploaded. Wait until nothing writes to the folder, and prepare it again."
        )


def _check_keywords(hub: dict[str, Any]) -> None:
    if unknown := sorted(set(hub) - set(HUB_KEYWORDS)):
        raise TypeError(f"publish does not take {', '.join(unknown)}: it takes {', '.join(HUB_KEYWORDS)}")
