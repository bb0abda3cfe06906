"""Publishing a checkpoint: everything is checked and measured first, then goes up by one commit."""

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
    """What would be published.

    Args:
        folder: The checkpoint.
        repo_id: The repository.
        card: The text of its `README.md`.
        files: The names of its files, the card among them.
        left_out: What else the folder holds, and does not go out. The name of a folder ends with a slash.
        states: By which `send` knows that a file is the one that was checked: taken before the check began.
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
    """Check a checkpoint and make its card; nothing is written, and nothing on the Hub is changed.

    Args:
        folder: What `convert` or `save_pretrained` wrote.
        repo_id: The repository, `user/name`, or `name` for one's own.
        audit: As in `hf_equi.hub.write_card`.
        license: As in `hf_equi.hub.write_card`.
        token: For the Hub, which the base's card is read from.

    Raises:
        ConfigurationError: For a folder that holds no symmetrised checkpoint, or a link instead of one of its
            files; for weights, a tokenizer or a group that do not fit the rest; for files that change in the course of
            the check; and as `hf_equi.hub.write_card`.
    """
    path = Path(folder)
    check_repo_id(repo_id)
    if not path.is_dir():
        raise ConfigurationError(f"There is no folder {path}: make one with hf-equi convert")
    before = all_states(path)
    model, stores_base = load_checkpoint(path)
    about = {"audit": audit, "license": license, "repo_id": repo_id, "token": token}
    card = model.make_card(path / REPOCARD_NAME, stores_base, **about)
    contents = read_contents(path, model.companion_files(), card)
    files = tuple(sorted({*contents.files, REPOCARD_NAME}))
    publication = Publication(path, repo_id, card, files, contents.left_out, before)
    _check_same(publication)  # what was measured is what would go up
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
    """Upload a checkpoint with a model card, by one commit.

    The checkpoint is loaded and checked and its equivariance error measured before the Hub is asked for anything. The
    card goes into the folder too. Only files of the checkpoint go out. They are listed on stderr before anything is
    sent, and a warning lists what else the folder holds. What a `Trainer` wrote of the training goes on into the card;
    `Trainer(push_to_hub=True)` by itself writes another card, without these facts.

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

    Warns:
        HfEquiWarning: If the folder holds other files, with their names.

    Raises:
        ConfigurationError: As `prepare`.
        TypeError: For another keyword, before anything is done.
        PublishingError: If the upload does not go through. The message says what state the repository is in.
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
    """Upload what `prepare` has checked, by one commit, and write the card to the folder.

    Args:
        publication: What it returned.
        token: As in `publish`.
        **hub: As in `publish`.

    Returns:
        The URL of the commit.

    Raises:
        ConfigurationError: For a file that has changed since, or has become a link.
        TypeError: As `publish`.
        PublishingError: As `publish`.
    """
    _check_keywords(hub)
    _check_same(publication)
    (publication.folder / REPOCARD_NAME).write_text(publication.card, encoding="utf-8")
    return str(upload(publication.folder, publication.files, publication.repo_id, token=token, **hub))


def _check_same(publication: Publication) -> None:
    """Refuse to upload what `prepare` has not seen; the card may be that of a call before this one."""
    folder, files = publication.folder, publication.files
    there = file_states(folder, files)
    changed = [name for name in files if name != REPOCARD_NAME and there[name] != publication.states.get(name)]
    if changed:
        raise ConfigurationError(
            f"{', '.join(changed[:3])} in {folder} changed since the check of the checkpoint began. Nothing was "
            "uploaded. Wait until nothing writes there, and prepare it anew."
        )


def _check_keywords(hub: dict[str, Any]) -> None:
    if unknown := sorted(set(hub) - set(HUB_KEYWORDS)):
        raise TypeError(f"publish has no arguments {', '.join(unknown)}: it takes {', '.join(HUB_KEYWORDS)}")
