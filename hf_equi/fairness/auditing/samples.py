"""The samples of an audit as a `datasets.Dataset`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_equi.fairness.scales import REGARD, Scale

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["COLUMNS", "make_dataset", "sample_columns", "write_parquet"]

_ABOUT = {
    "model": "string",
    "demographic": "string",
    "template": "string",
    "sample": "int64",
    "prompt": "string",
    "text": "string",
    "tokens": "list",
    "prompt_tokens": "int64",
}
_MEASURED = {"nll": "float64", "scored_tokens": "int64", "gap": "float64", "consistent": "float64"}


def sample_columns(scales: Iterable[Scale]) -> dict[str, str]:
    """Return the columns of samples that were scored on these scales, with types; `tokens` is a list of int64.

    Args:
        scales: The scales.
    """
    scored: dict[str, str] = {}
    for scale in scales:
        scored |= scale.columns()
    return {**_ABOUT, **scored, **_MEASURED}


COLUMNS = sample_columns([REGARD])
"""The columns of samples that were scored for regard alone."""


def make_dataset(rows: Sequence[dict[str, Any]], scales: Sequence[Scale] = (REGARD,)) -> Dataset:
    """Return a dataset of samples, in the given order.

    Args:
        rows: The samples, with all of `sample_columns(scales)`.
        scales: The scales of the scores.

    Example:
        >>> row = dict.fromkeys(COLUMNS)
        >>> make_dataset([{**row, "model": "base", "tokens": [1, 2]}])["tokens"][0]
        [1, 2]
    """
    from datasets import Dataset, Features, List, Value  # noqa: PLC0415  takes a second, which importing need not

    kinds = sample_columns(scales)
    types = {name: List(Value("int64")) if kind == "list" else Value(kind) for name, kind in kinds.items()}
    columns = {name: [row[name] for row in rows] for name in kinds}
    return Dataset.from_dict(columns, features=Features(types))


def write_parquet(samples: Dataset, path: Path) -> None:
    """Write samples into one Parquet file, without a separate progress bar."""
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
