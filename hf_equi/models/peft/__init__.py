"""Bases that peft has adapted."""

from __future__ import annotations

__all__ = []
