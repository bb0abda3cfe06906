"""Fairness: prompts from the literature, measures of how differently a model treats demographics, and the audit.

Public names load on first use. Those of the audit import `evaluate`, `datasets` and matplotlib, which takes seconds.
"""

from __future__ import annotations

from hf_equi.stubs import lazy_names, read_stub

__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__))
