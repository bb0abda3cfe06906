"""The audit of image classifiers: what they answer upright, turned and mirrored, and what each method changes."""

from __future__ import annotations

from hf_equi.stubs import lazy_names, read_stub

__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__))
