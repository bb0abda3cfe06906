"""The pictures of an audit and their classes, read from a folder. Subfolders or a CSV file give the classes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hf_equi.checks import to_install
from hf_equi.errors import ConfigurationError
from hf_equi.groups.written import separator
from hf_equi.image_audit.labels import ClassNames

try:
    from PIL import Image, ImageOps, UnidentifiedImageError
except ImportError as error:
    raise ConfigurationError(f"The audit of images needs Pillow: {to_install('pillow', 'vision')}.") from error

__all__ = ["FORMATS", "Picture", "PictureSet", "Unreadable", "find_pictures", "load_picture", "read_pictures"]

FORMATS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""The endings of picture names."""
_FILE, _LABEL = ("file", "path", "filename", "file_name", "image"), ("label", "class", "index")
_GLANCE = (64, 64)  # JPEGs are decoded at about this size when they are checked
_NAMED = 3  # files and labels that a message lists


@dataclass(frozen=True)
class Picture:
    """A picture and its class.

    Args:
        name: Its path in the folder, with `/` on every system.
        path: The path of the file.
        label: The number of its class.
    """

    name: str
    path: Path
    label: int


@dataclass(frozen=True)
class Unreadable:
    """A file that is not a picture or is damaged, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class PictureSet:
    """The pictures of a folder, from `read_pictures`.

    Args:
        pictures: The pictures that can be read, sorted by name.
        unreadable: The files that cannot be read.
        unlabelled: The number of pictures in the folder without a class: the CSV file does not name them, or they are
            in no subfolder.
    """

    pictures: tuple[Picture, ...]
    unreadable: tuple[Unreadable, ...] = ()
    unlabelled: int = 0


def read_pictures(
    folder: str | Path,
    names: Mapping[int, str],
    labels: str | Path | None = None,
    report: Callable[[int], None] = lambda found: None,
) -> PictureSet:
    """Find the pictures of a folder and their classes, and check that each can be read.

    Args:
        folder: The folder. Without `labels`, each of its subfolders is a class: `DIR/tench/1.jpg`.
        names: `config.id2label` of the model, in which classes are looked up: see `ClassNames`.
        labels: A CSV file whose header has the columns `file`, a path in the folder, and `label`, a class by name or
            number. Commas, semicolons or tabs separate them. Pictures that it does not name are left out.
        report: Called with the number of pictures before the first one, and with 0 at each.

    Returns:
        The pictures, and the files that cannot be read.

    Raises:
        ConfigurationError: If the folder is missing or has no pictures; if the CSV file cannot be read, or names a
            missing file or one file twice; if the model lacks a label; if no picture can be read.

    Cost: decodes every picture once.
    """
    folder, classes = Path(folder), ClassNames(names)
    found, labelled = find_pictures(folder, labels)
    indices = _classes(labelled.values(), classes, "subfolders" if labels is None else str(labels))
    report(len(labelled))
    pictures: list[Picture] = []
    unreadable: list[Unreadable] = []
    for name in sorted(labelled):
        report(0)
        if reason := _fault(folder / name):
            unreadable.append(Unreadable(name, reason))
        else:
            pictures.append(Picture(name, folder / name, indices[labelled[name]]))
    if not pictures:
        first = unreadable[0]
        raise ConfigurationError(
            f"None of the {len(unreadable)} images of {folder} can be read; {first.name}: {first.reason}."
        )
    return PictureSet(tuple(pictures), tuple(unreadable), len(set(found) - set(labelled)))


def find_pictures(folder: str | Path, labels: str | Path | None = None) -> tuple[list[str], dict[str, str]]:
    """Find the pictures of a folder and their labels, without a look at either.

    Args:
        folder: As in `read_pictures`.
        labels: As in `read_pictures`.

    Returns:
        The names of all pictures, and the label of each that has one.

    Raises:
        ConfigurationError: If the folder is missing or has no pictures, and for a faulty CSV file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigurationError(f"The image folder {str(folder)!r} does not exist: check its name.")
    found = _find(folder)
    if not found:
        raise ConfigurationError(f"The folder {folder} has no images: their names end with {', '.join(FORMATS)}.")
    return found, _by_subfolder(folder, found) if labels is None else _by_csv(folder, Path(labels))


def load_picture(path: Path) -> np.ndarray:
    """Return a picture as `(height, width, 3)` bytes, upright as a viewer would show it.

    Raises:
        ConfigurationError: If the file can no longer be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(_in_bytes(ImageOps.exif_transpose(image), image.format).convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConfigurationError(
            f"{path} can no longer be read ({_reason(error)}): repair it or move it away, and run again. Finished "
            "work is kept."
        ) from error


def _find(folder: Path) -> list[str]:
    """Return the pictures by name. Files that begin with a dot belong to the system and are skipped."""
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in FORMATS)
    return sorted(path.as_posix() for path in paths if not any(part.startswith(".") for part in path.parts))


def _by_subfolder(folder: Path, found: Iterable[str]) -> dict[str, str]:
    labelled = {name: name.split("/")[0] for name in found if "/" in name}
    if labelled:
        return labelled
    tables = sorted(path.name for path in folder.glob("*.csv"))
    there = f" To use the one there: --labels {folder / tables[0]}, or labels= in Python." if tables else ""
    raise ConfigurationError(
        f"The images of {folder} are not in subfolders, so their classes are not known: put each into a subfolder of "
        f"its class, or pass a CSV file with the columns file and label.{there}"
    )


def _by_csv(folder: Path, table: Path) -> dict[str, str]:
    labelled: dict[str, str] = {}
    missing: list[str] = []
    for line, name, label in _rows(table):
        if name in labelled:
            raise ConfigurationError(f"{table} names {name!r} twice, the second time in line {line}: leave one out.")
        labelled[name] = label
        if not (folder / name).is_file():
            missing.append(name)
    if missing:
        raise ConfigurationError(
            f"{table} names {len(missing)} files that are not in {folder}: {_some(missing)}. Paths are relative to "
            "that folder."
        )
    if not labelled:
        raise ConfigurationError(f"{table} names no images: write a line for each below the header.")
    return labelled


def _rows(table: Path) -> Iterator[tuple[int, str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            text = file.read()
            reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator(text))
            header = {(name or "").strip().casefold(): name for name in reader.fieldnames or ()}
            columns = [next((header[name] for name in known if name in header), None) for known in (_FILE, _LABEL)]
            if None in columns:
                raise ConfigurationError(
                    f"{table} needs a header with the columns file and label, separated by a comma, a semicolon or a "
                    f"tab, but has {', '.join(header) or 'none'}."
                )
            for row in reader:
                name, label = ((row[column] or "").strip() for column in columns)
                if not name or not label:
                    raise ConfigurationError(f"Line {reader.line_num} of {table} lacks a file or a label: fill it in.")
                yield reader.line_num, Path(name).as_posix(), label
    except OSError as error:
        raise ConfigurationError(f"The labels {table} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"The labels {table} are not a CSV file in UTF-8: {error}.") from error


def _classes(labels: Iterable[str], classes: ClassNames, source: str) -> dict[str, int]:
    """Return the class of each label.

    Raises:
        ConfigurationError: For labels that the model does not have; one message names them all.
    """
    found = {label: classes.find(label) for label in dict.fromkeys(labels)}
    unknown = [label for label, index in found.items() if index is None]
    if not unknown:
        return {label: index for label, index in found.items() if index is not None}
    if several := [label for label in unknown if classes.ambiguous(label)]:
        raise ConfigurationError(
            f"The model has several classes called {_some(several)} ({source}): give the class by its number."
        )
    near = classes.nearest(unknown[0])
    meant = f" Did you mean {near!r}?" if near else ""
    raise ConfigurationError(
        f"The model has no class {_some(unknown)} ({len(unknown)} of {len(found)} labels, from {source}).{meant} Name "
        f"classes as its config.id2label does, or by number: {classes.examples()}. If the folders have other names, "
        "use a CSV file with the columns file and label."
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(repr, names[:_NAMED])) + more


def _fault(path: Path) -> str:
    """Return why a picture cannot be read, or an empty text."""
    try:
        with Image.open(path) as image:
            image.draft("RGB", _GLANCE)
            _in_bytes(image, image.format).load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return _reason(error)
    return ""


def _in_bytes(image: Image.Image, kind: str | None) -> Image.Image:
    """A picture, from a file of that kind, with at most 8 bits a channel; Pillow makes all above 255 white.

    Raises:
        ValueError: For numbers of which it is not known which one is white.
    """
    deep = image.mode.startswith("I;16") or (image.mode == "I" and kind == "PNG")
    if deep:
        return Image.fromarray((np.asarray(image).astype(np.int64) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"its pixels are numbers of 32 bits (mode {image.mode}): save it with 8 or 16 bits")
    return image


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnidentifiedImageError):
        return "not an image in a known format"
    return str(error) or type(error).__name__
