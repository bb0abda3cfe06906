"""Model cards: facts of a symmetrised model, measured or read, and the text that they make."""

from __future__ import annotations

__all__ = []
