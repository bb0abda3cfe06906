"""The command `hf-equi convert`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_equi.cli.arguments import expanded
from hf_equi.cli.display import note, write_json, write_line
from hf_equi.cli.groups import parse_any_group
from hf_equi.cli.loading import loading, locate, quiet, read_scorer
from hf_equi.cli.options import Origin
from hf_equi.cli.placement import from_hub
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup, FiniteGroup
from hf_equi.hub import convert

__all__ = ["Conversion", "run_convert"]

_OPTIONS = frozenset(
    {"base", "config", "group", "license", "method", "model", "output", "save_base", "scorer", "task"}
)
"""The settings that `--set` refuses: the command line has its own option for them, or `symmetrize` makes them."""

_PYTHON = {"True": True, "False": False, "None": None}


@dataclass(frozen=True)
class Conversion:
    """How a model is symmetrised.

    Args:
        group: As on the command line.
        method: As in `symmetrize`.
        task: As in `symmetrize`; by default found from the model.
        scorer: A classifier's name or folder, or "demo", with or without a label; by default that of the library.
        settings: Further settings, each as `NAME=VALUE`.
        origin: Which version of the base to use.
    """

    group: str
    method: str = "equitune"
    task: str | None = None
    scorer: str | None = None
    settings: Sequence[str] = ()
    origin: Origin | None = None


def run_convert(
    base: str, folder: Path, conversion: Conversion, save_base: bool, license: str | None, as_json: bool
) -> None:
    """Symmetrise a model, save it to a folder with its card, and say what the folder holds.

    Args:
        base: A model's folder, its name on the Hub, or "demo".
        folder: The folder to write, new or empty.
        conversion: How to symmetrise.
        save_base: Whether to save the base's weights, and not only its name and revision.
        license: The licence, as the Hub spells it.
        as_json: Whether to print JSON.

    Raises:
        HfEquiError: If anything is wrong with these.
    """
    folder, group = expanded(folder), parse_any_group(conversion.group)
    with quiet():
        settings = _read_settings(conversion, group)
    if conversion.origin is not None:
        settings |= {name: value for name, value in from_hub(base, conversion.origin).items() if value}
    with quiet(), loading(base, "converted"):
        model = convert(
            locate(base),
            folder,
            group,
            conversion.method,
            task=conversion.task,
            save_base=save_base,
            license=license,
            **settings,
        )
    if model.method.needs_training:
        note(
            f"the network of {model.config.method} means nothing before it is trained: train the model first "
            "(docs/finetuning.md, for images docs/vision_training.md and docs/canonicalization.md)"
        )
    if as_json:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        write_json(
            {
                "folder": str(folder),
                "class": type(model).__name__,
                "auto_class": model.auto_class_of(model.config).__name__,
                "method": model.config.method,
                "group_order": group.order,
                "stores_base": save_base,
                "files": files,
            }
        )
        return
    write_line("wrote", str(folder), type(model).__name__)
    write_line(
        "load", f'{model.auto_class_of(model.config).__name__}.from_pretrained("{folder}"), after import hf_equi'
    )
    write_line("publish", f"hf-equi publish {folder} USER/NAME")


def _read_settings(conversion: Conversion, group: FiniteGroup) -> dict[str, Any]:
    """Return the arguments of `symmetrize` other than group and method."""
    settings: dict[str, Any] = {}
    if isinstance(group, DemographicGroup):
        settings["multi_token"] = "skip"  # and a note says so
    for text in conversion.settings:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise ConfigurationError(
                f"--set {text!r} is not a setting: write NAME=VALUE, for example --set level=spatial."
            )
        if name in _OPTIONS:
            raise ConfigurationError(f"--set {text!r} cannot be set this way: see hf-equi convert --help.")
        settings[name] = _read_value(value)
    if conversion.scorer is not None:
        settings["scorer"] = read_scorer(conversion.scorer)
    return settings


def _read_value(text: str) -> Any:
    """Read a number, or `true`, `false` or `null` as JSON or Python writes them; return any other text as it is."""
    if text in _PYTHON:
        return _PYTHON[text]
    try:
        return json.loads(text)
    except ValueError:
        return text
