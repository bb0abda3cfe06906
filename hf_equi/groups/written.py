"""Groups of words in files and on the command line: JSON in a short and a long form, and CSV."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_equi.checks import did_you_mean
from hf_equi.errors import GroupError
from hf_equi.groups.equality import EqualityFactor
from hf_equi.groups.registry import without_type

__all__ = ["factors_of", "lacks_quotes", "not_json", "read_csv", "read_file", "read_json", "separator"]

_KEYS = ("equality", "neutral", "general", "names", "forms", "plurals", "leave_out")
_WHAT = (
    'A group is described by its sets, [["man", "woman"], ["he", "she"]], by {"equality": [...], "names": [...]}, or '
    'by {"type": "demographic", "factors": [...]} with at least one factor'
)
_LONGEST = 200  # characters of the input in a message
_GLIMPSE = 20  # characters that show a place in the input
_DELIMITERS = ",;\t"

Factors = tuple[EqualityFactor, ...]


def read_file(path: str | Path) -> Factors:
    """Return the factors that a file describes: CSV if its name ends with .csv, else JSON.

    Raises:
        GroupError: If it cannot be read, or does not describe a group. The message names the file.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors put a mark at the beginning
    except OSError as error:
        raise GroupError(f"The group file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise GroupError(f"The group file {path} is not UTF-8 text: save it as UTF-8.") from error
    try:
        return read_csv(text) if path.suffix.lower() == ".csv" else read_json(text)
    except GroupError as error:
        raise GroupError(f"The group's file {path}: {error}") from error


def read_json(text: str) -> Factors:
    """Return the factors that a JSON text describes: a list of sets, one factor, or what `to_json` wrote.

    Raises:
        GroupError: If it is not JSON, or does not describe a group.

    Example:
        >>> [factor.names for factor in read_json('[["man", "woman"], ["he", "she"]]')]
        [('man', 'woman')]
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        advice = " Put each word in double quotes." if lacks_quotes(text, error) else ""
        raise GroupError(f"The text is {not_json(text, error)}.{advice} {_WHAT}.") from error
    return (EqualityFactor.from_lists(content),) if isinstance(content, list) else factors_of(content)


def not_json(text: str, error: Exception) -> str:
    """Return where and why a text is not JSON.

    Args:
        text: The text.
        error: The error of `json.loads`.
    """
    if not isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error}"
    rest = text[error.pos :].partition("\n")[0]
    there = f"at {rest[:_GLIMPSE]!r}" if rest else "at its end"
    return f"not JSON: {error.msg} in line {error.lineno}, column {error.colno}, {there}"


def lacks_quotes(text: str, error: Exception) -> bool:
    """Whether a text is not JSON because a word has no quotes, or single ones."""
    return isinstance(error, json.JSONDecodeError) and re.match(r"[\w']", text[error.pos :]) is not None


def factors_of(content: object) -> Factors:
    """Return the factors that a dictionary describes: one factor by its keys, or all under `"factors"`.

    Raises:
        GroupError: If it has another kind, has missing or unknown keys, or does not describe a group.
    """
    if not isinstance(content, Mapping):
        raise GroupError(f"{_WHAT}; received {_cut(content)}.")
    stored = without_type(content, "demographic", _WHAT)
    _check_keys(stored, ("factors",) if "factors" in stored else (*_KEYS, "factors"))
    factors = [stored] if "equality" in stored else stored.get("factors")
    if not isinstance(factors, list) or not factors:
        raise GroupError(f"{_WHAT}; received {_cut(content)}.")
    return tuple(map(_factor, factors))


def _factor(content: Any) -> EqualityFactor:
    if isinstance(content, Mapping):
        _check_keys(content, _KEYS)
    if not isinstance(content, Mapping) or "equality" not in content:
        raise GroupError(
            f"A factor is described by the keys {', '.join(_KEYS)}; equality is required. Received {_cut(content)}."
        )
    return EqualityFactor.from_lists(**content)


def _check_keys(content: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            advice = did_you_mean(key, known, f"the keys here are {', '.join(known)}.")
            raise GroupError(f"The key {key!r} is not known: {advice} Received {_cut(content)}.")


def read_csv(text: str) -> Factors:
    r"""Return the factor that a CSV text describes: a header with the names, then one set of words per row.

    Columns are demographics, separated by commas, semicolons or tabs.

    Raises:
        GroupError: If it does not describe a group. The message names line and column.

    Example:
        >>> read_csv("man,woman\nman,woman\nhe,she\n")[0].sets
        (('man', 'woman'), ('he', 'she'))
    """
    lines = _lines(text)
    if len(lines) < 2:
        raise GroupError(
            "a CSV needs a header with a name for each demographic, such as man,woman, and a row for each set of "
            f"words below it; received {_cut(text)}."
        )
    (_, header), rows = lines[0], lines[1:]
    _check_header(header)
    sets = [_checked_row(line, row, header) for line, row in rows]
    _check_repeated(rows, header)
    _check_named(header, sets)
    return (EqualityFactor.from_lists(sets, names=header),)


def separator(text: str) -> str:
    r"""Return what separates the columns of a CSV text: a comma, a semicolon or a tab, whichever its header has most.

    Example:
        >>> separator("file;label\n1.jpg;a, b, c")
        ';'
    """
    return max(_DELIMITERS, key=text.lstrip().partition("\n")[0].count)


def _lines(text: str) -> list[tuple[int, list[str]]]:
    """Return the rows that are not empty, with the line on which each ends, without trailing empty cells."""
    reader = csv.reader(io.StringIO(text), delimiter=separator(text), strict=True)
    lines = []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            while cells and not cells[-1]:
                cells.pop()
            if cells:
                lines.append((reader.line_num, cells))
    except csv.Error as error:
        raise GroupError(f"line {reader.line_num} is not CSV: {error}.") from error
    return lines


def _check_header(header: Sequence[str]) -> None:
    if len(header) < 2:
        raise GroupError(
            f"the header {header[0]!r} names one column, but a group has at least two demographics: separate their "
            "names with commas, such as man,woman."
        )
    for place, name in enumerate(header):
        if not name or name in header[:place]:
            what = f"the name {name!r} of another column" if name else "no name"
            raise GroupError(f"column {place + 1} has {what} in the header: give each demographic its own.")


def _checked_row(line: int, row: Sequence[str], header: Sequence[str]) -> list[str]:
    if len(row) > len(header):
        raise GroupError(
            f"line {line} has {len(row)} words, but the header has {len(header)} columns ({', '.join(header)}): "
            f"remove {row[len(header)]!r}, or name its column."
        )
    filled = [*row, *[""] * (len(header) - len(row))]
    for name, word in zip(header, filled, strict=True):
        if not word:
            raise GroupError(f"line {line} has no word in the column {name!r}: write one, or remove the line.")
    return filled


def _check_repeated(rows: Sequence[tuple[int, Sequence[str]]], header: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for line, row in rows:
        for name, word in zip(header, row, strict=True):
            place = f"line {line}, column {name!r}"
            if word in seen:
                raise GroupError(
                    f"{word!r} is in {seen[word]} and in {place}: a permutation cannot send one word to two. Keep "
                    "one of the two lines."
                )
            seen[word] = place


def _check_named(header: Sequence[str], sets: Sequence[Sequence[str]]) -> None:
    """Refuse a header that is meant as a set of words, because its words would not move."""
    for name, *words in zip(header, *sets, strict=True):
        if any(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", name, re.IGNORECASE) for word in words):
            return
    names = ", ".join(map(repr, header))
    raise GroupError(
        f"the header names the demographics {names}, but no row below has these words, so they would not move in a "
        f"prompt. The header is not a set of words: repeat it below as the line {','.join(header)}, or name the "
        "columns with words that move."
    )


def _cut(content: object) -> str:
    text = repr(content)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 4]} ..."
