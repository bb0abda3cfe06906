"""Model cards: the facts of a symmetrised model, measured or read, and the text made from them."""

from __future__ import annotations

__all__ = []
