"""Find the spellings of preset words that usually mean something else, in plain text with capitals.

    python examples/left_out_spellings.py --data DIR
    python examples/left_out_spellings.py --data DIR --page docs/left_out.md

A word of a preset also moves Capitalised and in UPPER case. "King" is often a surname, "God" a name, "PA" a state. The
script counts each spelling in `text` and in the generated texts of `gpt2_generations/nlg_bias`, below DIR, and applies
four rules. It prints what they find, and where a preset says otherwise. `--page` writes the tables into a page.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data import add_data_argument, require
from imagenet_results import table
from left_out_counts import Counts, count_words, read_names

from hf_equi import DemographicGroup, WordAction
from hf_equi.groups import Preset, preset_names, read_preset

MARKER = "<!-- Below this line: written by examples/left_out_spellings.py -->"
LEAST = 5
"""The fewest occurrences from which a share is taken."""
ALONE = 2
"""The fewest capitals alone of a set."""
HALF, TENTH, TWENTIETH = 1 / 2, 1 / 10, 1 / 20
_COLOUR = "moves, because people are written so, too: the last column but one. `leave_out` is there to change that"
KEPT = {"black": _COLOUR, "white": _COLOUR}
"""Spellings that a rule finds and that move nevertheless, with the reason."""
TEXTS = (
    "Martin Luther King met the king.",
    "King Charles spoke.",
    "God bless you.",
    "The gods are angry.",
    "The Lord is my shepherd.",
    "The Queen spoke.",
    "Kings and queens.",
    "Boston, MA, and Erie, PA",
    "Ma and Pa left.",
    "Guy Ritchie is a guy.",
    "Dick and Jack left in May.",
    "Miss Jones sold a Colt, a filly and a bull.",
    "Gal Gadot",
    "His father left. HE LEFT.",
)
"""Texts whose images are shown, with and without what presets leave out."""


@dataclass(frozen=True)
class Finding:
    """A spelling that collides with another word.

    Args:
        preset: The preset.
        words: The set.
        spellings: The spelling, or several in different cases.
        rule: The rule that finds it.
        share: The share that the rule looks at.
        seen: The number of occurrences that it is a share of.
    """

    preset: str
    words: tuple[str, ...]
    spellings: tuple[str, ...]
    rule: str
    share: float
    seen: int


def findings(preset: Preset, counts: Counts) -> Iterator[Finding]:
    """Yield the spellings of a preset that the rules find."""
    for words in preset.equality:
        for word in words:
            images = [other for other in words if other != word]
            for rule, (share, seen, spellings) in _shares(word, counts).items():
                if seen < LEAST or not spellings or share < _LEAST_SHARE[rule]:
                    continue
                others = [_shares(image, counts)[rule] for image in images]
                if rule == "surname" or any(size >= LEAST and part < _LEAST_SHARE[rule] for part, size, _ in others):
                    yield Finding(preset.name, words, spellings, rule, share, seen)
        alone = sum(counts.alone[word.lower()] for word in words)
        every = sum(counts.every(word) for word in words)
        if alone >= ALONE and alone >= TENTH * every:
            yield Finding(preset.name, words, tuple(map(str.upper, words)), "abbreviation", alone / every, every)


_LEAST_SHARE = {"name": HALF, "surname": TWENTIETH, "common word": HALF}


def _shares(word: str, counts: Counts) -> dict[str, tuple[float, int, tuple[str, ...]]]:
    """Return for each rule about one word a share, the occurrences that it is of, and the spellings concerned."""
    lower, is_lower = word.lower(), word.islower()
    inside = counts.capital[lower]
    running = inside + counts.lower[lower]
    read = inside + counts.caseless[lower]
    named = counts.named[lower]
    small = counts.lower[lower] / running if running else 0.0
    return {
        "name": (1 - small, running, (lower.capitalize(), lower.upper()) if is_lower else ()),
        "surname": (
            named / read if read else 0.0,
            read if named >= LEAST else 0,
            (lower.capitalize(),) if is_lower else (),
        ),
        "common word": (small, running, () if is_lower else (lower,)),
    }


def differences(preset: Preset, found: Sequence[Finding]) -> list[str]:
    """Say where a preset leaves out other spellings than the rules find, except by hand."""
    ruled = {spelling for one in found for spelling in one.spellings} - set(KEPT)
    by_hand = {spelling for spelling, why in preset.leave_out.items() if why.startswith("By hand")}
    own = set(preset.leave_out)
    images = {word for row in DemographicGroup.preset(preset.name).left_out() for word in row.words}
    lines = [f"{preset.name}: the rules find {each!r}, and it moves" for each in sorted(ruled - images)]
    return lines + [f"{preset.name}: no rule finds {each!r}, and it stays" for each in sorted(own - ruled - by_hand)]


def found_table(found: Sequence[Finding], presets: Mapping[str, Preset]) -> str:
    """Return a table of what the rules find and what is left out by hand."""
    rows = []
    for one in found:
        kept = next((KEPT[spelling] for spelling in one.spellings if spelling in KEPT), None)
        share = f"{100 * one.share:.0f} % of {one.seen}"
        rows.append([f"`{one.preset}`", ", ".join(one.spellings), one.rule, share, kept or "left out"])
    for name, preset in presets.items():
        for spelling, why in preset.leave_out.items():
            if why.startswith("By hand"):
                rows.append([f"`{name}`", spelling, "by hand", "–", f"left out. {why}"])
    return table(["preset", "spellings", "rule", "share", "outcome"], rows)


def count_table(words: Sequence[str], counts: Counts) -> str:
    """Return a table of the occurrences of some words."""
    head = ["word", "lower case", "Capitalised inside a sentence", "… before a name", "… after an article"]
    head += [
        "Capitalised at its beginning",
        "after a first name",
        "lower case before a word for people",
        "CAPITALS alone",
    ]
    rows = []
    for word in words:
        columns = (counts.lower, counts.capital, counts.title, counts.article, counts.start, counts.named)
        columns += (counts.people, counts.alone)
        rows.append([word, *(str(column[word.lower()]) for column in columns)])
    return table(head, rows)


def effect_table() -> str:
    """Return what the gender preset does to some texts with and without what it leaves out."""
    own = DemographicGroup.preset("gender")
    whole = DemographicGroup(own.factors[0].sets)
    rows = [[text, WordAction(whole).apply(1, text), WordAction(own).apply(1, text)] for text in TEXTS]
    return table(["text", "image with every spelling", "image under the preset"], rows)


def shown_words(found: Sequence[Finding], presets: Mapping[str, Preset], counts: Counts) -> list[str]:
    """Return the words that a rule finds, those that a preset leaves out, their images, and words that come close."""
    words: dict[str, None] = {}
    listed = {spelling.lower() for one in found for spelling in one.spellings}
    listed |= {spelling.lower() for preset in presets.values() for spelling in preset.leave_out}
    for preset in presets.values():
        for row in preset.equality:
            near = any(_is_near(word, counts) for word in row)
            if near or not listed.isdisjoint(word.lower() for word in row):
                words |= dict.fromkeys(row)
    return list(words)


def _is_near(word: str, counts: Counts) -> bool:
    """Whether a word that is listed in lower case is a capital often enough to be looked at."""
    if not word.islower():
        return False
    share, seen, _ = _shares(word, counts)["name"]
    return seen >= LEAST and share >= TENTH


def write_page(page: Path, parts: Sequence[str]) -> None:
    """Replace everything below the marker line of a page."""
    above = page.read_text(encoding="utf-8").partition(MARKER)[0] if page.is_file() else "# Left out\n\n"
    page.write_text("\n\n".join([above.rstrip(), MARKER, *parts]) + "\n", encoding="utf-8")


def main() -> None:
    """Print or write what the rules find."""
    summary, _, details = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_argument(parser)
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the tables into a page")
    arguments = parser.parse_args()
    text, names, *generated = require(arguments.data, "text", "fairness_words/nltk_names", "gpt2_generations/nlg_bias")
    counts = count_words(text, generated, read_names(names))
    presets = {name: read_preset(name) for name in preset_names()}
    found = [one for preset in presets.values() for one in findings(preset, counts)]
    parts = [
        f"Read: {counts.words:,} words of lines with capitals and {counts.caseless_words:,} of lines without, "
        f"{counts.names} first names.",
        "## What the rules find",
        found_table(found, presets),
        "## The counts",
        count_table(shown_words(found, presets, counts), counts),
        "## The effect",
        effect_table(),
    ]
    if arguments.page is None:
        print("\n\n".join(parts))
    else:
        write_page(arguments.page, parts)
    for preset in presets.values():
        print("\n".join(differences(preset, [one for one in found if one.preset == preset.name])), end="")


if __name__ == "__main__":
    main()
