"""A decoding rule as a repository on the Hub, which `generate` loads by name."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from hf_equi.errors import ConfigurationError

__all__ = ["export_custom_generate"]

_GENERATE = '''\
"""The search of EquizeroLM for `generate(custom_generate=...)`: see the README beside this folder."""

try:
    from hf_equi.generation.custom_generate import generate
except ModuleNotFoundError as error:
    raise ImportError("This decoding rule needs hf_equi: run `pip install hf_equi`") from error

__all__ = ["generate"]
'''


def export_custom_generate(path: str | os.PathLike[str]) -> Path:
    """Write a `custom_generate` repository with the search of EquizeroLM.

    `model.generate(..., custom_generate=path, trust_remote_code=True, group=..., tokenizer=..., scorer=...)` then runs
    `EquizeroSearch` on any causal language model, from a folder or, once uploaded, from the Hub.

    Args:
        path: A folder, created if necessary. Existing files of the repository are overwritten.

    Returns:
        The folder: `custom_generate/generate.py`, `custom_generate/requirements.txt` and a card, `README.md`.

    Raises:
        ConfigurationError: If `path` is a file.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file: name a folder to write the repository to")
    card = resources.files("hf_equi").joinpath("assets", "custom_generate", "README.md").read_text(encoding="utf-8")
    (folder / "custom_generate").mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("README.md", card),
        ("custom_generate/generate.py", _GENERATE),
        ("custom_generate/requirements.txt", "hf_equi\n"),
    ):
        (folder / name).write_text(text, encoding="utf-8")
    return folder
