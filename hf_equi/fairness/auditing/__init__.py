"""The audit of language models: texts about demographics, drawn, scored and compared."""

from hf_equi.fairness.auditing.highlight import moved_words
from hf_equi.fairness.auditing.run import Audit, AuditResult, audit
from hf_equi.fairness.auditing.settings import Sampling, Statistics

__all__ = ["Audit", "AuditResult", "Sampling", "Statistics", "audit", "moved_words"]
