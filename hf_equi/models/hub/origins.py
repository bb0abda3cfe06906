"""Where a base comes from: its name on the Hub, and the metadata of its own card."""

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
    """The origin of a base.

    Args:
        name: Its name on the Hub, or `None` if unknown.
        revision: The commit from which it was loaded, if known.
        metadata: The metadata of its own card; empty if there is no readable card.
    """

    name: str | None = None
    revision: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


def hub_name(config: Any, **hub: Any) -> tuple[str | None, str | None]:
    """Return the name and the commit with which a model was loaded from the Hub; nothing for other models.

    Args:
        config: The model's config.
        **hub: The `revision` and `cache_dir` with which it was loaded, if known.
    """
    name = getattr(config, "_name_or_path", "") or ""
    if not name or Path(name).exists():
        return None, None
    cached = {key: hub[key] for key in ("revision", "cache_dir") if key in hub}
    try:
        return name, extract_commit_hash(cached_file(name, CONFIG_NAME, local_files_only=True, **cached), None)
    except OSError:  # not a name on the Hub after all, or gone from the cache
        return None, None


def check_pinned(config: Any, where: object) -> tuple[str, str]:
    """Return the name and the commit of the base through which a checkpoint without weights is loaded.

    Args:
        config: Its config.
        where: The place of the checkpoint, for the message.

    Raises:
        ConfigurationError: If it names no base or no commit, or a base that is not on the Hub or that a local folder
            shadows.
    """
    name, revision = config.base_name, config.base_revision
    if name is None or revision is None:
        lacks = "name of its base" if name is None else "revision of its base"
        raise ConfigurationError(
            f"{where} holds no weights (stores_base=False), and its config does not hold the {lacks} on the Hub: the "
            "config was edited. Use the checkpoint as it was published, or symmetrize the base again."
        )
    check_hub_name(name, f"The base of {where}")
    if not isinstance(revision, str) or not _COMMIT.fullmatch(revision):
        raise ConfigurationError(
            f"The base of {where} is stored with the revision {revision!r}, which is not a commit of 40 hexadecimal "
            "digits, so its weights may have changed. Use the checkpoint as it was published."
        )
    return name, revision


def read_origin(model: Any, token: str | bool | None = None) -> Origin:
    """Return the origin of the base of a wrapped model.

    The base's card is read from the cache, from the Hub if it can be reached, or from the folder that the base was
    loaded from.

    Args:
        model: The wrapped model.
        token: The Hub token.
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
    """Return the metadata and the text of a card; both are empty if there is no readable card.

    Args:
        path: The file of the card.
    """
    if not path.is_file():
        return {}, ""
    try:
        card = ModelCard(path.read_text(encoding="utf-8-sig"), ignore_metadata_errors=True)
        metadata: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
        return metadata, card.text
    except Exception:  # any kind: the metadata may be invalid, because people write cards by hand
        return {}, path.read_text(encoding="utf-8", errors="replace")


def _hub_metadata(name: str, revision: str | None, token: str | bool | None) -> dict[str, Any]:
    try:
        path = find_file(name, REPOCARD_NAME, unreachable=True, gated=True, revision=revision, token=token)
    except OSError:  # gone from the Hub
        return {}
    return {} if path is None else read_card(Path(path))[0]
