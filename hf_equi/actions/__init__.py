"""How groups act: a demographic group on token ids, on pairs of vocabularies, and on words of a text."""

from hf_equi.actions.pairs import TokenPairAction
from hf_equi.actions.tokens import TokenAction
from hf_equi.actions.words import WordAction

__all__ = ["TokenAction", "TokenPairAction", "WordAction"]
