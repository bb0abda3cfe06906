"""What wrapped models of text share with each other."""

from __future__ import annotations

__all__ = []
