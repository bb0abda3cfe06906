"""The common parts of the audit's metrics as modules of `evaluate`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import evaluate
from datasets import Value

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.resampling import Resampling

__all__ = ["BLOCKS", "RESAMPLING", "AuditMetric", "block_features"]

BLOCKS = """
    template (`list` of `str`): the template of each sample's prompt.
    sample (`list` of `int`): its number. Samples with equal template and number are coupled: drawn again together.
"""
"""The description of the inputs that every metric takes."""

RESAMPLING = """
    resamples (`int`): how many times the samples are drawn again; 1000 by default.
    confidence (`float`): the confidence of the intervals; 0.95 by default.
    seed (`int`): the seed of the draws; 0 by default.
"""
"""The description of the settings that every metric takes."""


# Abstract, because `evaluate.load` takes the first class in a file that is a module and not abstract, imported or not.
class AuditMetric(evaluate.Metric, ABC):  # type: ignore[misc]  # evaluate has no types
    """A metric over columns of the samples of an audit.

    A single process keeps its inputs in memory and writes nothing, so it works on a read-only disk, and many can run
    at once. With `num_process` above 1, `evaluate` exchanges the inputs through files in `cache_dir`.

    Args:
        config_name: As in `evaluate`.
        num_process: As in `evaluate`.
        keep_in_memory: Accepted because `evaluate.load` passes it. The value follows from `num_process`.
        **settings: As in `evaluate`.
    """

    def __init__(
        self, config_name: str | None = None, *, num_process: int = 1, keep_in_memory: bool = True, **settings: Any
    ) -> None:
        del keep_in_memory
        super().__init__(config_name, keep_in_memory=num_process == 1, num_process=num_process, **settings)

    @property
    def columns(self) -> list[str]:
        """Return the columns of the samples that the metric reads.

        Example:
            >>> from hf_equi.fairness.metrics import Perplexity
            >>> Perplexity().columns
            ['template', 'sample', 'nll', 'scored_tokens']
        """
        return list(self.features)

    def compute(self, *, predictions: Any = None, references: Any = None, **kwargs: Any) -> dict[str, Any] | None:
        """Compute the metric of the inputs, and of those added before.

        Args:
            predictions: Not used: the metric names its inputs.
            references: Not used.
            **kwargs: The columns, and `resamples`, `confidence` and `seed`.

        Returns:
            Numbers, strings, lists and `None`, as in JSON.

        Raises:
            ConfigurationError: For columns that are missing or unknown.
        """
        unknown = sorted(set(kwargs) - set(self.columns) - {"resamples", "confidence", "seed"})
        if unknown or predictions is not None or references is not None:
            what = unknown or "predictions and references"
            raise ConfigurationError(f"{self.name} does not take {what}: its columns are {self.columns}.")
        missing = [name for name in self.columns if kwargs.get(name) is None]
        if missing and (len(missing) < len(self.columns) or not len(self)):
            raise ConfigurationError(f"{self.name} needs the columns {missing} too: it reads {self.columns}.")
        result: dict[str, Any] | None = evaluate.Metric.compute(self, **kwargs)
        return result

    @abstractmethod
    def _measure(self, columns: Mapping[str, Sequence[Any]], plan: Resampling) -> dict[str, Any]:
        """Return the figures of the columns."""

    def _compute(
        self, *, resamples: int = 1000, confidence: float = 0.95, seed: int = 0, **columns: Any
    ) -> dict[str, Any]:
        return self._measure(columns, Resampling(resamples, confidence, seed))

    def _build_data_dir(self) -> str:
        if self.keep_in_memory:
            # Nothing is written there, so the folder need not exist.
            return str(Path(self._data_dir_root, self.name, self.config_name))
        return str(super()._build_data_dir())


def block_features() -> dict[str, Any]:
    """Return the features of the columns that make the blocks."""
    return {"template": Value("string"), "sample": Value("int64")}
