"""Wrapped models on disk and on the Hub: saving, loading, uploading."""

from __future__ import annotations

__all__ = []
