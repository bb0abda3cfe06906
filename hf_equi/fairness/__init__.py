"""Fairness: the prompts of the literature, and how far a model is from treating demographics alike."""

from hf_equi.fairness.metrics import GroupGap, group_gap, log_likelihood
from hf_equi.fairness.prompts import OCCUPATION, PROMPT_SETS, RESPECT, fill, prompt_set

__all__ = ["OCCUPATION", "PROMPT_SETS", "RESPECT", "GroupGap", "fill", "group_gap", "log_likelihood", "prompt_set"]
