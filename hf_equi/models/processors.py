"""What prepares inputs beside a checkpoint, loaded if it is there."""

from __future__ import annotations

import warnings
from typing import Any

from hf_equi.bases.compat import find_file
from hf_equi.bases.loading import without_question
from hf_equi.errors import HfEquiWarning

__all__ = ["load_processor"]

_FILES = ("preprocessor_config.json", "processor_config.json")


def load_processor(auto_class: Any, path: Any, hub: dict[str, Any]) -> Any:
    """Load the processor beside a checkpoint; `None` if there is none, with a warning if it cannot be read."""
    known = {name: hub[name] for name in hub if name != "trust_remote_code"}
    try:
        found = [name for name in _FILES if find_file(path, name, unreachable=True, **known) is not None]
    except OSError:  # no such repository; loading the weights reports it
        return None
    if not found:
        return None
    try:
        return auto_class.from_pretrained(path, **without_question(hub))
    except Exception as error:  # any kind: libraries raise anything for a damaged file
        warnings.warn(
            f"The processor of {path} ({', '.join(found)}) cannot be loaded, so the model has none: {error}. Set it: "
            "model.processor = ...",
            HfEquiWarning,
            stacklevel=2,
        )
        return None
