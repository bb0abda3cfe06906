"""Actions of groups: on token ids, vocabulary pairs and words; on images and grids; on vectors and points."""

from hf_equi.actions.base import Action, ColumnAction
from hf_equi.actions.images import GridAction, PixelAction
from hf_equi.actions.matrices import PointAction, VectorAction
from hf_equi.actions.pairs import TokenPairAction
from hf_equi.actions.plane import PlaneAction
from hf_equi.actions.tokens import TokenAction
from hf_equi.actions.trivial import TrivialAction
from hf_equi.actions.words import WordAction

__all__ = [
    "Action",
    "ColumnAction",
    "GridAction",
    "PixelAction",
    "PlaneAction",
    "PointAction",
    "TokenAction",
    "TokenPairAction",
    "TrivialAction",
    "VectorAction",
    "WordAction",
]
