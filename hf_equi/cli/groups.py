"""Groups as named or written on the command line."""

from __future__ import annotations

import json
import operator
import os
import re
from contextlib import suppress
from functools import reduce
from pathlib import Path

from hf_equi.cli.arguments import expanded
from hf_equi.errors import GroupError
from hf_equi.groups import DemographicGroup, FiniteGroup, ImageGroup
from hf_equi.groups.preset import preset_names
from hf_equi.groups.written import lacks_quotes, not_json

__all__ = ["IMAGE_KINDS", "group_slug", "parse_any_group", "parse_group"]

_EXAMPLE = """'[["man", "woman"], ["he", "she"]]'"""
_OWN = f"words of your own: {_EXAMPLE}, or the path of a .json or .csv file"
_JSON, _FILES = ("[", "{"), (".json", ".csv")
_LONGEST_SLUG = 60
IMAGE_KINDS = {"rotations": "n", "dihedral": "n", "flips": "axes"}
"""The groups of images by name, with the parameter behind the colon."""


def parse_any_group(text: str) -> FiniteGroup:
    """Read a group of words, as `parse_group` does, or of images: `rotations:4`, `dihedral:4`, `flips:horizontal`.

    Raises:
        GroupError: If it is neither.
    """
    kind, _, value = text.strip().partition(":")
    if kind not in IMAGE_KINDS:
        try:
            return parse_group(text)
        except GroupError as error:
            if _is_written(kind) or kind.strip() in preset_names():
                raise
            kinds = "rotations:4, dihedral:4, flips:horizontal"
            raise GroupError(f"{str(error).rstrip('.')}. Groups of images are {kinds} and similar.") from error
    parameter = IMAGE_KINDS[kind]
    if not value:
        raise GroupError(
            f"The group {kind} needs {parameter} after a colon: {kind}:{'4' if parameter == 'n' else 'both'}."
        )
    return ImageGroup.from_dict({"type": "image", "kind": kind, parameter: int(value) if value.isdecimal() else value})


def parse_group(text: str) -> DemographicGroup:
    """Read a group of words, or a product of several, separated by `*`.

    Each is a preset (`race`, or some of its elements, `race:Black,White`), JSON, or the path of a JSON or CSV file.

    Raises:
        GroupError: For an unknown preset, a file that cannot be read, or a text that does not describe a group.
    """
    return reduce(operator.mul, map(_read_factor, _split(text.strip())))


def group_slug(text: str) -> str:
    """Return a group on the command line as part of a folder's name."""
    stem = Path(text).stem if text.endswith(_FILES) else text
    return re.sub(r"[^\w.-]+", "-", stem)[:_LONGEST_SLUG].strip("-") or "group"


def _split(text: str) -> list[str]:
    """Return the factors of a product. A `*` inside JSON does not separate factors."""
    if text.startswith(_JSON):
        with suppress(ValueError, RecursionError):  # the reader of the factor reports what is wrong
            _, end = json.JSONDecoder().raw_decode(text)
            star, rest = text[end:].lstrip()[:1], text[end:].lstrip()[1:]
            if star in ("", "*"):
                return [text[:end], *(_split(rest.strip()) if star else [])]
        return [text]
    factor, star, rest = text.partition("*")
    return [factor.strip(), *(_split(rest.strip()) if star else [])]


def _is_written(factor: str) -> bool:
    """Whether the group is written out, here or in a file, rather than named."""
    return factor.startswith(_JSON) or factor.lower().endswith(_FILES) or "/" in factor or os.sep in factor


def _read_factor(name: str) -> DemographicGroup:
    if name.partition(":")[0] in IMAGE_KINDS:
        raise GroupError(
            f"The group {name} moves images, but this needs a group of words: a preset such as gender, or {_OWN}."
        )
    if name.startswith(_JSON):
        return _read_json(name)
    if _is_written(name):
        return DemographicGroup.from_file(expanded(name))
    preset, colon, elements = name.partition(":")
    try:
        return DemographicGroup.preset(
            preset.strip(), [each.strip() for each in elements.split(",")] if colon else None
        )
    except GroupError as error:
        if preset.strip() in preset_names():
            raise
        raise GroupError(f"{str(error).rstrip('.')}. Or take {_OWN}.") from error


def _read_json(text: str) -> DemographicGroup:
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        begin = "Put each word in double quotes, and" if lacks_quotes(text, error) else "Write"
        raise GroupError(
            f"The group is {not_json(text, error)}. {begin} the whole in single quotes, so that the shell keeps the "
            f"double ones: --group {_EXAMPLE}."
        ) from error
    return DemographicGroup.from_json(text)
