"""What wrapped models of images share: where they are cut, and how their orbits are read and combined."""

from __future__ import annotations

__all__ = []
