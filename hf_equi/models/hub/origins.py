"""Where a base came from: its name on the Hub, and what its own card says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard
from huggingface_hub.constants import REPOCARD_NAME
from transformers.utils import CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

from hf_equi.bases.compat import find_file
from hf_equi.bases.hub_names import check_hub_name
from hf_equi.errors import ConfigurationError

__all__ = ["Origin", "check_pinned", "hub_name", "read_card", "read_origin"]

_COMMIT = re.compile("[0-9a-f]{40}")


@dataclass(frozen=True)
class Origin:
    """Where a base came from.

    Args:
        name: Its name on the Hub, or `None` where nobody knows one.
        revision: The commit that it was loaded at, if that is known.
        metadata: What the head of its own card says, empty where there is none to read.
    """

    name: str | None = None
    revision: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def hub_name(config: Any, **hub: Any) -> tuple[str | None, str | None]:
    """The name under which a model was loaded from the Hub and the commit, or nothing for other models.

    Args:
        config: The model's config.
        **hub: The `revision` and `cache_dir` that it was loaded with, where they are known.
    """
    name = getattr(config, "_name_or_path", "") or ""
    if not name or Path(name).exists():
        return None, None
    cached = {key: hub[key] for key in ("revision", "cache_dir") if key in hub}
    try:
        return name, extract_commit_hash(cached_file(name, CONFIG_NAME, local_files_only=True, **cached), None)
    except OSError:  # no name of the Hub after all, or gone from the cache
        return None, None


def check_pinned(config: Any, where: object) -> tuple[str, str]:
    """The name and the commit of the base that a checkpoint without weights is loaded through.

    Args:
        config: Its config.
        where: Where it was read, for the message.

    Raises:
        ConfigurationError: Where it names no base, one that is not on the Hub or that a folder here shadows, or no
            commit.
    """
    name, revision = config.base_name, config.base_revision
    if name is None or revision is None:
        lacks = "name of its base" if name is None else "revision of its base"
        raise ConfigurationError(
            f"{where} holds no weights (stores_base=False), and its config holds no {lacks} on the Hub: the config "
            "was edited. Take the checkpoint as it was published, or symmetrize the base again."
        )
    check_hub_name(name, f"The base of {where}")
    if not isinstance(revision, str) or not _COMMIT.fullmatch(revision):
        raise ConfigurationError(
            f"The base of {where} is stored with the revision {revision!r}, which is not a commit of 40 hexadecimal "
            "digits, so its weights may be others by now. Take the checkpoint as it was published."
        )
    return name, revision


def read_origin(model: Any, token: str | bool | None = None) -> Origin:
    """Where the base of a wrapped model came from.

    Its card is read from the cache, from the Hub where that can be reached, or from the folder that it was loaded
    from.

    Args:
        model: The wrapped model.
        token: For the Hub.
    """
    config = model.base.config
    name, revision = model.config.base_name, model.config.base_revision
    if name is None:
        name, revision = hub_name(config)
    if name is not None:
        return Origin(name, revision, _hub_metadata(name, revision, token))
    folder = Path(getattr(config, "_name_or_path", "") or "nowhere")
    return Origin(metadata=read_card(folder / REPOCARD_NAME)[0])


def read_card(path: Path) -> tuple[dict[str, Any], str]:
    """The metadata and the text of a card; both empty where there is none that can be read.

    Args:
        path: The file.
    """
    if not path.is_file():
        return {}, ""
    try:
        card = ModelCard(path.read_text(encoding="utf-8-sig"), ignore_metadata_errors=True)
        metadata: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
        return metadata, card.text
    except Exception:  # of whatever kind: a head that is none, and cards are written by people
        return {}, path.read_text(encoding="utf-8", errors="replace")


def _hub_metadata(name: str, revision: str | None, token: str | bool | None) -> dict[str, Any]:
    try:
        path = find_file(name, REPOCARD_NAME, unreachable=True, gated=True, revision=revision, token=token)
    except OSError:  # gone from the Hub
        return {}
    return {} if path is None else read_card(Path(path))[0]
