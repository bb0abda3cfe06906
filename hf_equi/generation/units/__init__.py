"""Words of several tokens inside the scores of a language model: how they are read, scored and written."""

from hf_equi.generation.units.forward import UnitForward, UnitScores
from hf_equi.generation.units.laws import LookAhead

__all__ = ["LookAhead", "UnitForward", "UnitScores"]
