"""Where the symmetrizers meet transformers: a folder for each task."""

from __future__ import annotations

__all__ = []
