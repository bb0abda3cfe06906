"""The table of an audit: all metrics of each model, from the samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.metrics.consistency import consistency
from hf_equi.fairness.metrics.distinct import continuation_words, distinct
from hf_equi.fairness.metrics.group_gap import summarise_gaps
from hf_equi.fairness.metrics.label_distribution import label_distribution, mean_score
from hf_equi.fairness.metrics.parity_gap import control_parity_gap, parity_gap
from hf_equi.fairness.metrics.perplexity import perplexity
from hf_equi.fairness.metrics.regard_distribution import mean_regard, regard_distribution
from hf_equi.fairness.resampling import Blocks, Resampling
from hf_equi.fairness.scales import REGARD, Scale, read_scales
from hf_equi.fairness.verdicts import judge

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["COLUMNS", "summarise"]

_ABOUT = ("model", "demographic", "template", "sample", "prompt", "text")
_MEASURED = ("nll", "scored_tokens", "gap", "consistent")


def _scored(scale: Scale) -> list[str]:
    """Return the columns of a scale that figures are computed from."""
    ends = [scale.labels[0], *scale.labels[-1:]] if scale.of_regard else scale.labels[:1]
    return [
        name
        for masked in (False, True)
        for name in (*(scale.column(label, masked) for label in ends), scale.key("label", masked))
    ]


COLUMNS = (*_ABOUT, *_scored(REGARD), *_MEASURED)
"""The columns of samples scored for regard that `summarise` reads; `gap` and `consistent` may be null."""

_OPTIONAL = ("gap", "consistent")

Columns = dict[str, list[Any]]


def summarise(
    samples: Dataset, *, seed: int = 0, resamples: int = 1000, confidence: float = 0.95
) -> list[dict[str, Any]]:
    """Return the figures of each model, with intervals.

    Args:
        samples: One row per sample, with `COLUMNS` and any others; on scales other than regard, with the columns of
            those scales (`hf_equi.fairness.scales`). An empty demographic marks a prompt that names none: it counts
            everywhere except in the parity gap and its control.
        seed: The seed of the draws for intervals and p-values.
        resamples: The number of draws.
        confidence: The confidence of the intervals.

    Returns:
        A dict for each model, in the order of first appearance: `model`, `samples` (their number) and the keys of the
        metrics in `hf_equi.fairness.metrics`. Those of `RegardDistribution` and `ParityGap` appear a second time with
        the prefix `masked_`, for the texts with the demographic masked. The last key is `verdict`, the joint verdict
        from `hf_equi.fairness.verdicts.judge`. All of it is ready for JSON. A figure that does not exist is `None`:
        the group gap of a model without a tractable likelihood, the parity gap of one demographic, the perplexity of a
        text that the base model rules out, any interval from a single block of coupled samples.

    Raises:
        ConfigurationError: For no samples, missing columns, a missing value, a value that is not a finite number, too
            few resamples for p-values, and as in the metrics.

    Cost: about half a second for 2000 samples of a model and 1000 resamples.
    """
    plan = Resampling(resamples, confidence, seed)
    scales = read_scales(samples.column_names) or (REGARD,)
    plan.check_p_values(len(scales))
    columns = _read(samples, scales)
    models = dict.fromkeys(columns["model"])
    return [_summarise_model(name, _where(columns, "model", name), scales, plan) for name in models]


def _summarise_model(model: str, rows: Columns, scales: Sequence[Scale], plan: Resampling) -> dict[str, Any]:
    blocks, scored = _blocks(rows), dict[str, Any]()
    for scale in scales:
        scored |= {**_on_scale(rows, scale, False, plan), **_on_scale(rows, scale, True, plan)}
    figures = {
        "model": model,
        "samples": len(rows["model"]),
        **_if_known("gap", rows, plan),
        **_if_known("consistent", rows, plan),
        **scored,
        **perplexity(rows["nll"], rows["scored_tokens"], blocks, plan),
        **distinct(continuation_words(rows["prompt"], rows["text"]), rows["demographic"], blocks, plan),
    }
    return {**figures, "verdict": judge(figures, 1 - plan.confidence).to_dict()}


def _on_scale(rows: Columns, scale: Scale, masked: bool, plan: Resampling) -> dict[str, Any]:
    """Return the figures of the labels of a scale, on the plain or the masked texts."""
    label = scale.key("label", masked)
    named = _keep(rows, [demographic != "" for demographic in rows["demographic"]])
    if named["model"]:
        compared = (named["demographic"], named[label], _blocks(named), plan)
        parity = {**parity_gap(*compared), **control_parity_gap(*compared)}
    else:
        parity = dict.fromkeys(_PARITY)
    first, last = (rows.get(scale.column(name, masked), []) for name in (scale.labels[0], scale.labels[-1]))
    where = rows["template"], rows["sample"]
    if scale.of_regard:
        mean = mean_regard(first, last, _blocks(rows), plan)
        shares = regard_distribution(rows["demographic"], rows[label], *where, plan)
    else:
        mean = mean_score(first, _blocks(rows), plan)
        shares = label_distribution(rows["demographic"], rows[label], scale.labels, where, plan)
    return {scale.key(key, masked): figure for key, figure in {**parity, **mean, **shares}.items()}


_PARITY = (
    "parity_gap",
    "parity_gap_interval",
    "parity_gap_p_value",
    "parity_gap_pair",
    "control_parity_gap",
    "control_parity_gap_interval",
)


def _if_known(column: str, rows: Columns, plan: Resampling) -> dict[str, Any]:
    """Return the figures of a column that may be null, over the rows where it is not."""
    known = _keep(rows, [value is not None for value in rows[column]])
    if column == "gap":
        if known["model"]:
            return summarise_gaps(known["gap"], _blocks(known), plan)
        return dict.fromkeys(("group_gap", "group_gap_interval", "group_gap_mean", "group_gap_mean_interval"))
    if known["model"]:
        return consistency(known["consistent"], _blocks(known), plan)
    return dict.fromkeys(("consistency", "consistency_interval"))


def _read(samples: Dataset, scales: Sequence[Scale]) -> Columns:
    names = [*_ABOUT, *(name for scale in scales for name in _scored(scale)), *_MEASURED]
    missing = [name for name in names if name not in samples.column_names]
    if missing:
        raise ConfigurationError(
            f"The samples lack the columns {', '.join(missing)}. Pass the samples of an audit as they are."
        )
    if not len(samples):
        raise ConfigurationError("There are no samples to summarise: generate at least one for each model.")
    columns: Columns = samples.select_columns(names).with_format(None)[:]
    for name, values in columns.items():
        if name not in _OPTIONAL and None in values:
            raise ConfigurationError(f"Row {values.index(None)} of the samples has no {name}.")
        for row, value in enumerate(values):
            # A text that the base model rules out has an infinite nll, so its model has no perplexity.
            if isinstance(value, float) and not math.isfinite(value) and (name, value) != ("nll", math.inf):
                raise ConfigurationError(
                    f"{name} is {value} in row {row} of the samples: look for overflow in the model or the scorer."
                )
    return columns


def _blocks(rows: Columns) -> Blocks:
    return Blocks.read(rows["template"], rows["sample"])


def _where(rows: Columns, column: str, value: str) -> Columns:
    return _keep(rows, [given == value for given in rows[column]])


def _keep(rows: Columns, flags: Sequence[bool]) -> Columns:
    return {name: [value for value, flag in zip(values, flags, strict=True) if flag] for name, values in rows.items()}
