"""A page to try a model: its content, computed without Gradio, and the page itself, which needs Gradio."""

from __future__ import annotations

__all__ = []
