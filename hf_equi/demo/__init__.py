"""A page to try a model on: what it shows, computed without Gradio, and the page itself, which needs it."""

from __future__ import annotations

__all__ = []
