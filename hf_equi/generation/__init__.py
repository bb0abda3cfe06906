"""Decoding with orbits: the forking cache, the one forward, coupled sampling, the logits processor."""

from hf_equi.generation.coupled_sampling import CoupledDraws, CoupledNoise, Prompts
from hf_equi.generation.logits_processor import EquiLogitsProcessor
from hf_equi.generation.orbit_cache import OrbitCache
from hf_equi.generation.orbit_forward import OrbitInputs, OrbitScores, check_base, forward_orbit

__all__ = [
    "CoupledDraws",
    "CoupledNoise",
    "EquiLogitsProcessor",
    "OrbitCache",
    "OrbitInputs",
    "OrbitScores",
    "Prompts",
    "check_base",
    "forward_orbit",
]
