"""Parts that all wrapped models of text share."""

from __future__ import annotations

__all__ = []
