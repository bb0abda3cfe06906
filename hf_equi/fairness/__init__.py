"""Fairness: the prompts of the literature, how far a model is from treating demographics alike, and the audit of it.

Public names load on first use. Those of the audit bring `evaluate`, `datasets` and matplotlib, which take seconds.
"""

from __future__ import annotations

from hf_equi.stubs import lazy_names, read_stub

__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__))
