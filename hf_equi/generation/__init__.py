"""Decoding with orbits: the forking cache, the one forward, coupled sampling, the logits processor, the search."""

from hf_equi.generation.base_call import check_base
from hf_equi.generation.coupled_sampling import CoupledDraws, CoupledNoise, Prompts
from hf_equi.generation.equizero_search import EquizeroOutput, EquizeroSearch
from hf_equi.generation.logits_processor import EquiLogitsProcessor
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.orbit_forward import OrbitInputs, OrbitScores, forward_orbit
from hf_equi.generation.scorers import LabelScorer, RegardScorer

__all__ = [
    "CoupledDraws",
    "CoupledNoise",
    "EquiLogitsProcessor",
    "EquizeroOutput",
    "EquizeroSearch",
    "LabelScorer",
    "OrbitCache",
    "OrbitInputs",
    "OrbitScores",
    "Prompts",
    "RegardScorer",
    "check_base",
    "forward_orbit",
]
