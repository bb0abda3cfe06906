"""The audit of image classifiers: their answers to upright, turned and mirrored pictures, with each method."""

from __future__ import annotations

from hf_equi.stubs import lazy_names, read_stub

__all__, __getattr__, __dir__ = lazy_names(__name__, read_stub(__name__))
