"""Samples as a dataset and in a file."""

from __future__ import annotations

from datasets import Dataset, are_progress_bars_disabled

from hf_equi.fairness.auditing.samples import COLUMNS, make_dataset, write_parquet

ROW = {**dict.fromkeys(COLUMNS), "model": "base", "tokens": [3, 4], "negative": 0.1, "gap": 1e-7, "consistent": True}


def test_types_do_not_depend_on_what_is_missing() -> None:
    full, empty = make_dataset([ROW]), make_dataset([{**dict.fromkeys(COLUMNS), "tokens": []}])
    assert full.features == empty.features
    assert full.column_names == list(COLUMNS)
    assert full[0] == ROW


def test_a_file_holds_what_the_dataset_does(tmp_path, capsys) -> None:
    write_parquet(make_dataset([ROW, {**ROW, "gap": None}]), tmp_path / "samples.parquet")
    found = Dataset.from_parquet(str(tmp_path / "samples.parquet"), cache_dir=str(tmp_path))
    assert [row["gap"] for row in found] == [1e-7, None]
    assert list(found.features) == list(COLUMNS)
    assert not are_progress_bars_disabled()
