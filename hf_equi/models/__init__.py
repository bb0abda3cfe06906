"""Symmetrised transformers models: one folder for each task."""

from __future__ import annotations

__all__ = []
