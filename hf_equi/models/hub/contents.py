"""What a checkpoint may hold: only these files of a folder go to the Hub."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote

from huggingface_hub.constants import REPOCARD_NAME
from transformers.utils import CONFIG_NAME, GENERATION_CONFIG_NAME

from hf_equi.errors import ConfigurationError

__all__ = [
    "LOADER",
    "Contents",
    "all_states",
    "file_states",
    "is_weights",
    "list_files",
    "read_contents",
    "weight_variant",
]

LOADER = "import_hf_equi.py"
"""The module that lets the Auto classes load a checkpoint before `import hf_equi`, with `trust_remote_code=True`."""

# Releases differ in whether the shard number or the variant comes first. These files are never in a subfolder.
_WEIGHTS = re.compile(
    r"(?P<stem>[^./]+?)(-[0-9]+-of-[0-9]+)?(\.(?P<variant>[^/]+?)(-[0-9]+-of-[0-9]+)?)?"
    r"\.(?P<kind>safetensors|bin)(\.index(\.(?P<listed>[^/]+))?\.json)?"
)
_TEXTS = tuple(f"{name}{suffix}" for name in ("LICENSE", "LICENCE", "NOTICE") for suffix in ("", ".md", ".txt"))
# The Hub reads results of evaluations from a hidden folder.
_OWN = (CONFIG_NAME, GENERATION_CONFIG_NAME, LOADER, REPOCARD_NAME, *_TEXTS, ".eval_results/*.yaml")
# What prepares inputs, by the names in transformers releases. Saving the model reveals any other names.
_COMPANIONS = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
    *("preprocessor_config.json", "processor_config.json"),
)
_IMAGES = frozenset({".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"})
_SHOWN = re.compile(
    r"(?<!\\)(?:!\[[^\]]*\]\(\s*<?([^\s)>]+)|<img\b[^>]*?\bsrc\s*=\s*[\"']?([^\s\"'>]+))", re.IGNORECASE
)
# The metadata and the code of a card: text by others that shows no image.
_NOT_SHOWN = re.compile(r"\A---\n.*?\n---\n|^(```+).*?^\1", re.DOTALL | re.MULTILINE)


class Contents(NamedTuple):
    """The contents of a folder.

    Args:
        files: The files that belong to a checkpoint, as a repository names them, in alphabetical order.
        left_out: The rest, by name. The name of a folder ends with a slash.
    """

    files: tuple[str, ...]
    left_out: tuple[str, ...]


def is_weights(name: str) -> bool:
    """Return whether a file at the top of a checkpoint holds weights, or lists the files that do."""
    return weight_variant(name) == ""


def weight_variant(name: str, own: bool = True) -> str | None:
    """Return which weights a top-level file of a checkpoint holds or lists: a `variant`, or the main ones (`""`).

    Args:
        name: Its name.
        own: Whether only weights that this library writes count, and not those of others, such as pickles.

    Returns:
        The variant, or `None` for a file that holds or lists no weights.

    Example:
        >>> [weight_variant(name) for name in ("model.safetensors", "model.fp16-00001-of-00002.safetensors", "a.json")]
        ['', 'fp16', None]
    """
    found = _WEIGHTS.fullmatch(name)
    if found is None or (own and (found["stem"], found["kind"]) != ("model", "safetensors")):
        return None
    if found["kind"] == "bin" and found["stem"] != "pytorch_model":  # such as training_args.bin
        return None
    return found["variant"] or found["listed"] or ""


def list_files(folder: Path) -> tuple[str, ...]:
    """Return all files of a folder, as a repository names them, in alphabetical order.

    Args:
        folder: A folder that only a save has written to. For all others use `read_contents`.
    """
    return tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))


def read_contents(folder: Path, companions: Iterable[str], card: str) -> Contents:
    """Return which files of a folder belong to a checkpoint.

    These are its config, weights as safetensors, what prepares its inputs, the module that imports this library, its
    card with the images that it shows, a licence, and results of evaluations. All other files are left out.

    Args:
        folder: The folder.
        companions: The files that prepare the inputs of its model, as saving it names them.
        card: The text of its card.

    Raises:
        ConfigurationError: If one of these is a link, because a link may lead anywhere on this machine.
    """
    saved = set(companions)
    beside = {"", *(f"{name.rpartition('/')[0]}/" for name in saved if "/" in name)}
    patterns = [*_OWN, *(folder + name for folder in sorted(beside) for name in _COMPANIONS)]
    return _sort(folder, folder, saved | _images(card), patterns)


def _sort(root: Path, folder: Path, names: set[str], patterns: list[str]) -> Contents:
    """Return the contents of one folder of a checkpoint: entries with these names, or that match a pattern."""
    files: list[str] = []
    left_out: list[str] = []
    for path in _entries(folder):
        name = path.relative_to(root).as_posix()
        goes = name in names or is_weights(name) or any(_matches(name, pattern) for pattern in patterns)
        leads = any(_leads(name, known) for known in (*names, *patterns))
        if goes or leads:
            _refuse_link(root, path)
        if leads and path.is_dir():
            inside = _sort(root, path, names, patterns)
            files += inside.files
            left_out += inside.left_out
        elif goes and path.is_file():
            files.append(name)
        else:
            left_out.append(f"{name}/" if path.is_dir() and not path.is_symlink() else name)
    return Contents(tuple(sorted(files)), tuple(sorted(left_out)))


def _refuse_link(root: Path, path: Path) -> None:
    if path.is_symlink():
        raise ConfigurationError(
            f"{path} is a link to {path.readlink()}. A link may lead to any file of this machine, so links are not "
            "published. Copy the folder together with the files that its links lead to, and publish the copy: cp -rL "
            f"{root} COPY"
        )


def file_states(folder: Path, names: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return what tells whether each file is still the same, with the same content; `()` for one that is gone.

    Args:
        folder: The folder of the files.
        names: The names of the files, as in `Contents`.

    Raises:
        ConfigurationError: For a link, also in one of the parent folders.
    """
    names = tuple(names)
    for name in names:
        for part in (*reversed(PurePosixPath(name).parents[:-1]), PurePosixPath(name)):
            _refuse_link(folder, folder / part)
    return {name: _state(folder / name) for name in names}


def all_states(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the states of all files that `read_contents` may name, for any model; of a link, those of its target.

    It looks at the files in the folder and in its direct subfolders, at deeper folders that prepare inputs, and at the
    card's images. A folder that is not a checkpoint may hold anything, so it looks at nothing else.

    Args:
        folder: The folder of the files.
    """
    try:
        card = (folder / REPOCARD_NAME).read_text(encoding="utf-8", errors="replace")
    except OSError:  # there is no card
        card = ""
    names = {*_near(folder, folder), *_images(card)}
    return {name: state for name in sorted(names) if (state := _state(folder / name))}


def _near(root: Path, folder: Path) -> Iterator[str]:
    """Yield the files of a folder and its direct subfolders, and of deeper folders that prepare inputs."""
    for path in _entries(folder):
        name = path.relative_to(root).as_posix()
        if not path.is_dir():
            yield name
        elif not path.is_symlink() and os.access(path, os.R_OK | os.X_OK) and (folder == root or _prepares(path)):
            yield from _near(root, path)


def _prepares(folder: Path) -> bool:
    """Return whether a folder holds, or is, something that prepares inputs."""
    return any(_leads(folder.name, known) or (folder / known).exists() for known in _COMPANIONS)


def _entries(folder: Path) -> list[Path]:
    """Return the entries of a folder, sorted; nothing if it is gone, as a `Trainer` deletes old checkpoints."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _state(path: Path) -> tuple[int, ...]:
    try:
        about = path.stat()
    except OSError:
        return ()
    return (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)


def _matches(name: str, pattern: str) -> bool:
    """Return whether a pattern matches a name. A star matches neither a slash nor a leading dot."""
    return name.count("/") == pattern.count("/") and _leads(f"{name}/", f"{pattern}/")


def _leads(name: str, pattern: str) -> bool:
    """Return whether files that match a pattern may lie in a folder."""
    parts, expected = name.rstrip("/").split("/"), pattern.split("/")
    return len(parts) < len(expected) and all(
        fnmatchcase(part, one) and (not part.startswith(".") or one.startswith("."))
        for part, one in zip(parts, expected, strict=False)
    )


def _images(card: str) -> set[str]:
    """Return the files that a card shows, except those elsewhere and hidden ones."""
    shown = _SHOWN.findall(_NOT_SHOWN.sub("", card))
    places = {PurePosixPath(unquote(first or second)) for first, second in shown}
    return {
        place.as_posix()
        for place in places
        if place.suffix.lower() in _IMAGES and not any(part.startswith((".", "/")) for part in place.parts)
    }
