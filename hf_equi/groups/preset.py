"""The word lists that come with the library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from hf_equi.checks import check_choice
from hf_equi.errors import GroupError
from hf_equi.groups.forms import surface_forms

__all__ = ["Preset", "kept_spellings", "occupations", "preset_names", "preset_of", "preset_text", "read_preset"]


@dataclass(frozen=True)
class Preset:
    """A list of equality sets, with its source and its limits.

    Args:
        name: The name that `DemographicGroup.preset` and `--group` take.
        names: Each demographic as written in a prompt.
        equality: The equality sets.
        source: Where the words come from.
        not_covered: The words that the list leaves as they are.
        notes: The words that it takes, and those that move although they are not meant.
        leave_out: The spellings that stay although a word of the list is spelled so, each with the reason.

    Example:
        >>> religion = read_preset("religion")
        >>> religion.names
        ('Christian person', 'Muslim person', 'Jewish person')
        >>> religion.not_covered[1]
        "'Jew': its counterpart is 'Christian', which is already paired with 'Jewish'. 'Jews' moves."
    """

    name: str
    names: tuple[str, ...]
    equality: tuple[tuple[str, ...], ...]
    source: str
    not_covered: tuple[str, ...]
    notes: tuple[str, ...]
    leave_out: Mapping[str, str]


def preset_names() -> tuple[str, ...]:
    """Return the names that `DemographicGroup.preset` knows, in alphabetical order.

    Example:
        >>> preset_names()[:3]
        ('age', 'disability', 'first_names_gender')
    """
    files = (item.name for item in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".json") for name in files if name.endswith(".json")))


@cache
def read_preset(name: str) -> Preset:
    """Return the preset with a name.

    Raises:
        GroupError: If there is none. The message lists the names.
    """
    check_choice("preset", name, preset_names(), error=GroupError)
    content = json.loads(_folder().joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return Preset(
        name=name,
        names=tuple(content["names"]),
        equality=tuple(map(tuple, content["equality"])),
        source=content["source"],
        not_covered=tuple(content["not_covered"]),
        notes=tuple(content["notes"]),
        leave_out=content.get("leave_out", {}),
    )


def preset_of(sets: Sequence[Sequence[str]]) -> Preset | None:
    """Return the preset that has these equality sets, with all or some columns in any order; `None` for other sets.

    Example:
        >>> preset_of([["White", "Black"], ["Whites", "Blacks"]]).name
        'race'
    """
    return next((preset for preset in map(read_preset, preset_names()) if _holds(preset, sets)), None)


def kept_spellings(leave_out: Iterable[str], sets: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return those of the left out spellings that belong to the words of some sets.

    Example:
        >>> kept_spellings(["King", "God"], [["king", "queen"]])
        ('King',)
    """
    spelled = {form for words in sets for word in words for form in surface_forms(word)}
    return tuple(word for word in leave_out if word in spelled)


def preset_text(factors: Iterable[tuple[Sequence[Sequence[str]], Sequence[str]]]) -> str | None:
    """Return the name that `--group` takes for a product of presets; `None` if a factor is not what a preset gives.

    Args:
        factors: The equality sets of each factor, and the spellings that it leaves out.

    Example:
        >>> preset_text([([["White", "Black"], ["Whites", "Blacks"]], ()), (read_preset("age").equality, ())])
        'race:White,Black*age'
    """
    names = []
    for sets, leave_out in factors:
        preset = preset_of(sets)
        if preset is None or set(kept_spellings(preset.leave_out, sets)) != set(leave_out):
            return None
        first = tuple(sets[0])
        names.append(preset.name if first == preset.equality[0] else f"{preset.name}:{','.join(first)}")
    return "*".join(names)


def _holds(preset: Preset, sets: Sequence[Sequence[str]]) -> bool:
    first = preset.equality[0]
    if not set(sets[0]) <= set(first):
        return False
    columns = [first.index(word) for word in sets[0]]
    return [tuple(words) for words in sets] == [tuple(words[i] for i in columns) for words in preset.equality]


def occupations() -> tuple[str, ...]:
    """Return occupations that have no gender by definition, in alphabetical order.

    They are the default neutral words of R-EquiLM. From Bolukbasi et al. 2016 (arXiv 1607.06520): the professions of
    one word whose definitional score is 0.

    Example:
        >>> occupations()[:3]
        ('accountant', 'acquaintance', 'administrator')
    """
    file = resources.files("hf_equi.groups").joinpath("word_lists", "occupations.json")
    return tuple(json.loads(file.read_text(encoding="utf-8"))["words"])


def _folder() -> Traversable:
    return resources.files("hf_equi.groups").joinpath("presets")
