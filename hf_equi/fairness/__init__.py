"""Fairness: the prompts of the literature, how far a model is from treating demographics alike, and the audit of it.

Names of the audit load on first use: they bring `evaluate`, `datasets` and matplotlib, which take seconds.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from hf_equi.fairness.likelihood import GroupGap, group_gap, group_gaps, log_likelihood
from hf_equi.fairness.prompts import OCCUPATION, PROMPT_SETS, RESPECT, fill, prompt_set

if TYPE_CHECKING:
    from hf_equi.fairness.auditing import Audit, AuditResult, Sampling, Statistics, audit
    from hf_equi.fairness.report import write_report
    from hf_equi.fairness.summary import summarise

__all__ = [
    "OCCUPATION",
    "PROMPT_SETS",
    "RESPECT",
    "Audit",
    "AuditResult",
    "GroupGap",
    "Sampling",
    "Statistics",
    "audit",
    "fill",
    "group_gap",
    "group_gaps",
    "log_likelihood",
    "prompt_set",
    "summarise",
    "write_report",
]

_MODULE_OF_NAME = {
    "Audit": "auditing",
    "AuditResult": "auditing",
    "Sampling": "auditing",
    "Statistics": "auditing",
    "audit": "auditing",
    "summarise": "summary",
    "write_report": "report",
}
_SUBMODULES = frozenset({"auditing", "metrics", "report", "summary"})


def __getattr__(name: str) -> object:
    if name in _MODULE_OF_NAME:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
    elif name in _SUBMODULES:
        value = import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
