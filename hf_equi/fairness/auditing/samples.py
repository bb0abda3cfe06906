"""The samples of an audit as a `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_equi.generation.scorers import LABELS

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["COLUMNS", "make_dataset", "write_parquet"]

_REGARD = {
    prefix + name: "string" if name == "label" else "float64"
    for prefix in ("", "masked_")
    for name in (*LABELS, "label")
}
COLUMNS = {
    "model": "string",
    "demographic": "string",
    "template": "string",
    "sample": "int64",
    "prompt": "string",
    "text": "string",
    "tokens": "list",
    "prompt_tokens": "int64",
    **_REGARD,
    "nll": "float64",
    "scored_tokens": "int64",
    "gap": "float64",
    "consistent": "float64",
}
"""The columns and their types; `tokens` is a list of int64."""


def make_dataset(rows: Sequence[dict[str, Any]]) -> Dataset:
    """A dataset of samples, in the order given.

    Args:
        rows: The samples, with all of `COLUMNS`.

    Example:
        >>> row = dict.fromkeys(COLUMNS)
        >>> make_dataset([{**row, "model": "base", "tokens": [1, 2]}])["tokens"][0]
        [1, 2]
    """
    from datasets import Dataset, Features, List, Value  # noqa: PLC0415  takes a second, which importing need not

    types = {name: List(Value("int64")) if kind == "list" else Value(kind) for name, kind in COLUMNS.items()}
    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    return Dataset.from_dict(columns, features=Features(types))


def write_parquet(samples: Dataset, path: Path) -> None:
    """Write samples into one Parquet file, without a progress bar of its own."""
    with _no_bars():
        samples.to_parquet(str(path))


@contextmanager
def _no_bars() -> Iterator[None]:
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars  # noqa: PLC0415

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()
