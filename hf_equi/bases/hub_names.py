"""Names on the Hub that a checkpoint stores."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public all the same

from hf_equi.errors import ConfigurationError

__all__ = ["check_hub_name"]


def check_hub_name(name: object, what: str) -> str:
    """Refuse a stored name that is not a Hub name, or that a local folder has, which would be read in its place.

    Args:
        name: The name.
        what: The owner of the name, as the beginning of a sentence.

    Returns:
        The name.

    Raises:
        ConfigurationError: For such a name.
    """
    try:
        if not isinstance(name, str):
            raise HFValidationError("a name is text")
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigurationError(
            f"{what} is stored as {name!r}, which is not a name on the Hub, such as user/name: the config was edited. "
            "Use the checkpoint as it was published."
        ) from error
    if Path(name).exists():
        raise ConfigurationError(
            f"{what} is {name!r} on the Hub, but {Path(name).absolute()} has the same name, so transformers would "
            "read it instead. Rename it, or load the checkpoint from another folder."
        )
    return name
