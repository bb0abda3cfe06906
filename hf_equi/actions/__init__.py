"""Actions: how a group acts on one kind of data."""

from hf_equi.actions.tokens import TokenAction
from hf_equi.actions.words import WordAction

__all__ = ["TokenAction", "WordAction"]
