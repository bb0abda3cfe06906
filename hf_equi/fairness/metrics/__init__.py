"""The metrics of the audit: each file is a module of `evaluate`, and holds the plain function behind it.

They read columns of the samples of an audit and return figures with intervals, ready for JSON. A file loads by its
path, also offline: `evaluate.load(".../parity_gap.py")` is `ParityGap()`, from a copy in the module cache of
`evaluate`.
"""

from hf_equi.fairness.metrics.base import AuditMetric
from hf_equi.fairness.metrics.consistency import Consistency
from hf_equi.fairness.metrics.distinct import Distinct
from hf_equi.fairness.metrics.group_gap import GroupGaps
from hf_equi.fairness.metrics.label_distribution import LabelDistribution
from hf_equi.fairness.metrics.parity_gap import ParityGap
from hf_equi.fairness.metrics.perplexity import Perplexity
from hf_equi.fairness.metrics.regard_distribution import RegardDistribution

__all__ = [
    "AuditMetric",
    "Consistency",
    "Distinct",
    "GroupGaps",
    "LabelDistribution",
    "ParityGap",
    "Perplexity",
    "RegardDistribution",
]
