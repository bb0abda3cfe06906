"""The command `hf-equi publish`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard

from hf_equi.cli.arguments import expanded
from hf_equi.cli.display import note, write_json, write_line, write_text
from hf_equi.cli.loading import quiet
from hf_equi.hub import Publication, prepare, send

__all__ = ["Destination", "run_publish"]


@dataclass(frozen=True)
class Destination:
    """Where a model goes on the Hub.

    Args:
        repo_id: The repository.
        private: Whether a new repository is private; by default as the account is set.
        revision: A branch; by default main.
        create_pr: Whether to open a pull request.
        message: The commit message.
    """

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    message: str | None = None


def run_publish(
    folder: Path, destination: Destination, about: tuple[Path | None, str | None], dry_run: bool, as_json: bool
) -> None:
    """Upload a checkpoint with its card, or show what would be uploaded.

    Args:
        folder: The checkpoint.
        destination: Where it goes.
        about: The folder of an audit and the licence, for the card.
        dry_run: Whether to upload nothing.
        as_json: Whether to print JSON.

    Raises:
        HfEquiError: If anything is wrong with the checkpoint, the audit or the upload.
    """
    audit, license = about
    folder, audit = expanded(folder), None if audit is None else expanded(audit)
    with quiet():
        publication = prepare(folder, destination.repo_id, audit=audit, license=license)
    if dry_run:
        _show(publication, _missing(publication, audit is not None), as_json)
        return
    if as_json:  # the one document is printed at the end
        note(f"uploading {', '.join(publication.files)}")
    else:
        _list(publication)
    with quiet():
        url = send(
            publication,
            private=destination.private,
            revision=destination.revision,
            create_pr=destination.create_pr,
            commit_message=destination.message,
        )
    if as_json:
        write_json({**_described(publication), "url": url})
    else:
        write_line("published", url)


def _missing(publication: Publication, audited: bool) -> list[str]:
    """Return what readers of the card will miss, and how to add it."""
    head = ModelCard(publication.card, ignore_metadata_errors=True).data
    missing = [] if getattr(head, "license", None) else ["a licence: pass --license NAME"]
    return missing if audited else [*missing, "the figures of an audit: pass --audit FOLDER"]


def _show(publication: Publication, missing: Sequence[str], as_json: bool) -> None:
    if as_json:
        write_json({**_described(publication), "missing": list(missing), "url": None, "card": publication.card})
        return
    _list(publication)
    for what in missing:
        write_line("missing", what)
    write_text(f"\n{publication.card.rstrip()}\n\n")
    note(f"nothing was uploaded to {publication.repo_id}")


def _list(publication: Publication) -> None:
    for name in publication.files:
        write_line("file", name)
    for name in publication.left_out:
        write_line("left out", name)
    sys.stdout.flush()


def _described(publication: Publication) -> dict[str, Any]:
    files, left_out = list(publication.files), list(publication.left_out)
    return {"repository": publication.repo_id, "files": files, "left_out": left_out}
