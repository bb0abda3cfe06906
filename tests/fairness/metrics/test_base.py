"""What all metrics share: inputs by name, clear errors, and nothing written."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from hf_equi.errors import ConfigurationError
from hf_equi.fairness import metrics
from hf_equi.fairness.metrics import AuditMetric, Perplexity

COLUMNS = {"template": ["a", "a"], "sample": [0, 1], "nll": [1.0, 3.0], "scored_tokens": [2, 2]}
METRICS = [getattr(metrics, name) for name in metrics.__all__ if name != "AuditMetric"]


def test_the_shared_class_is_abstract_and_so_never_what_evaluate_loads() -> None:
    assert inspect.isabstract(AuditMetric)
    assert len(METRICS) == 7
    assert not any(map(inspect.isabstract, METRICS))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_each_says_what_it_is(metric: type[AuditMetric]) -> None:
    made = metric()
    assert made.columns[:2] == ["template", "sample"]
    assert made.description.strip()
    assert made.citation.count("@") >= 1
    for column in made.columns:
        assert f"\n    {column} (`list`" in made.inputs_description


def test_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for metric in (Perplexity(cache_dir=str(folder)), Perplexity(cache_dir=str(folder), keep_in_memory=False)):
        assert metric.compute(**COLUMNS)["perplexity"] == pytest.approx(2.718282)
    assert not folder.exists()


def test_several_processes_exchange_files(tmp_path: Path) -> None:
    metric = Perplexity(cache_dir=str(tmp_path), num_process=2, process_id=1)
    assert not metric.keep_in_memory
    assert Path(metric.data_dir).is_dir()


def test_inputs_may_be_added_bit_by_bit() -> None:
    metric = Perplexity()
    metric.add_batch(template=["a"], sample=[0], nll=[1.0], scored_tokens=[2])
    metric.add_batch(template=["a"], sample=[1], nll=[3.0], scored_tokens=[2])
    assert metric.compute() == Perplexity().compute(**COLUMNS)
    assert metric.compute(**COLUMNS) == Perplexity().compute(**COLUMNS)


def test_settings_reach_the_draws() -> None:
    narrow = Perplexity().compute(**COLUMNS, confidence=0.2, resamples=100, seed=3)["perplexity_interval"]
    assert narrow == pytest.approx([2.718282] * 2)
    with pytest.raises(ConfigurationError, match="resamples=0"):
        Perplexity().compute(**COLUMNS, resamples=0)


def test_missing_and_unknown_columns_are_named() -> None:
    with pytest.raises(ConfigurationError, match=r"perplexity needs the columns \['nll'\] too"):
        Perplexity().compute(**{name: column for name, column in COLUMNS.items() if name != "nll"})
    with pytest.raises(ConfigurationError, match="perplexity needs the columns"):
        Perplexity().compute()
    with pytest.raises(ConfigurationError, match=r"perplexity does not take \['text'\]"):
        Perplexity().compute(**COLUMNS, text=["", ""])
    with pytest.raises(ConfigurationError, match="perplexity does not take predictions and references"):
        Perplexity().compute(predictions=[1], references=[1])
