"""Actions of groups: on token ids, vocabulary pairs and words; on images and shapes in them; on points and states."""

from hf_equi.actions.base import Action, ColumnAction
from hf_equi.actions.heat_maps import HeatMapAction
from hf_equi.actions.images import GridAction, PixelAction
from hf_equi.actions.matrices import PointAction, VectorAction
from hf_equi.actions.pairs import TokenPairAction
from hf_equi.actions.plane import PlaneAction
from hf_equi.actions.shapes import ImageBoxAction, ImagePointAction
from hf_equi.actions.states import state_action, values_action
from hf_equi.actions.tokens import TokenAction
from hf_equi.actions.trivial import TrivialAction
from hf_equi.actions.units import UnitAction, token_action
from hf_equi.actions.words import WordAction

__all__ = [
    "Action",
    "ColumnAction",
    "GridAction",
    "HeatMapAction",
    "ImageBoxAction",
    "ImagePointAction",
    "PixelAction",
    "PlaneAction",
    "PointAction",
    "TokenAction",
    "TokenPairAction",
    "TrivialAction",
    "UnitAction",
    "VectorAction",
    "WordAction",
    "state_action",
    "token_action",
    "values_action",
]
