"""From what stands on the command line to groups."""

from __future__ import annotations

import json
import operator
import os
import textwrap
from functools import reduce
from pathlib import Path

from hf_equi.cli.loading import expanded
from hf_equi.errors import GroupError
from hf_equi.groups import DemographicGroup, FiniteGroup, ImageGroup
from hf_equi.groups.demographic import preset_names

__all__ = ["IMAGE_KINDS", "read_any_group", "read_group"]

_EXAMPLE = 'Write it as {"equality": [["man", "woman"], ["he", "she"]]}, or with to_json() of a group in Python.'
IMAGE_KINDS = {"rotations": "n", "dihedral": "n", "flips": "axes"}
"""The groups of images by name, and what stands behind the colon."""


def read_any_group(text: str) -> FiniteGroup:
    """Read a group of words as `read_group` does, or one of images: `rotations:4`, `dihedral:4`, `flips:horizontal`.

    Raises:
        GroupError: If it is neither.
    """
    kind, _, value = text.strip().partition(":")
    if kind not in IMAGE_KINDS:
        try:
            return read_group(text)
        except GroupError as error:
            if kind.strip() in preset_names():
                raise
            kinds = "rotations:4, dihedral:4, flips:horizontal"
            raise GroupError(f"{error} Groups of images are {kinds} and the like.") from error
    parameter = IMAGE_KINDS[kind]
    if not value:
        raise GroupError(
            f"The group {kind} needs {parameter} behind a colon: {kind}:{'4' if parameter == 'n' else 'both'}."
        )
    return ImageGroup.from_dict({"type": "image", "kind": kind, parameter: int(value) if value.isdecimal() else value})


def read_group(text: str) -> DemographicGroup:
    """Read a preset (`race`, or with its elements `race:Black,White`), the path of a JSON file, or a product with `*`.

    Raises:
        GroupError: For an unknown preset, a file that cannot be read, or one that holds no group.
    """
    return reduce(operator.mul, [_read_factor(part.strip()) for part in text.split("*")])


def _read_factor(name: str) -> DemographicGroup:
    if name.partition(":")[0] in IMAGE_KINDS:
        raise GroupError(
            f"The group {name} moves images, and a group of words is needed here: a preset such as gender, or the "
            "path of a group's JSON file."
        )
    if name.endswith(".json") or "/" in name or os.sep in name:
        return _read_file(expanded(name))
    preset, colon, elements = name.partition(":")
    try:
        return DemographicGroup.preset(
            preset.strip(), [each.strip() for each in elements.split(",")] if colon else None
        )
    except GroupError as error:
        if preset.strip() in preset_names():
            raise
        raise GroupError(f"{error} Or pass the path of a group's JSON file, which ends with .json.") from error


def _read_file(path: Path) -> DemographicGroup:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GroupError(f"The group's file {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise GroupError(f"The group's file {path} is not JSON: {error}.") from error
    if isinstance(content, dict) and "equality" in content:  # a group of one factor, as people write it
        content = {"factors": [content]}
    try:
        return DemographicGroup.from_dict(content)
    except GroupError as error:
        raise GroupError(f"The file {path} holds no group: {textwrap.shorten(str(error), 400)} {_EXAMPLE}") from error
