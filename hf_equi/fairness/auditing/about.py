"""The models and scorers of an audit, described for the readers of its report. No figure depends on this."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from transformers import PreTrainedModel

from hf_equi.actions.resolution import cover_tokens
from hf_equi.bases.embedded import embedded_folder
from hf_equi.fairness.auditing.subjects import Subject
from hf_equi.fairness.scales import Scale
from hf_equi.generation.classifiers import DEMO

__all__ = ["describe_base", "describe_models", "describe_scorers"]


def describe_models(subjects: tuple[Subject, ...]) -> dict[str, dict[str, Any]]:
    """Return for each model the name of its base, its revision and size, and what a text costs.

    Args:
        subjects: The models.

    Returns:
        By model name: `source`, `revision` (a commit, or `None`), `parameters` of the base, `rows` (the most rows of
        the base that a text takes), `scores` (whether the model calls a scorer), and `units` (the sets in which words
        of several tokens move as one, each as "salesman/saleswoman"; empty if none does).
    """
    return {subject.name: _describe_model(subject) for subject in subjects}


def describe_base(model: PreTrainedModel, base: PreTrainedModel) -> dict[str, Any]:
    """The name of a base, its revision and size: `source`, `revision` (a commit, or `None`), `parameters`.

    Args:
        model: What wraps the base, or the base itself.
        base: The base.
    """
    name, revision = getattr(model.config, "base_name", None), getattr(model.config, "base_revision", None)
    if name is None:
        name, revision = getattr(base.config, "_name_or_path", ""), getattr(base.config, "_commit_hash", None)
    return {
        "source": _source(name or "") or type(base).__name__,
        "revision": revision,
        "parameters": _parameters(base),
    }


def _describe_model(subject: Subject) -> dict[str, Any]:
    lm = subject.lm
    rows = 1 if lm.method.selects_one else lm.group.order
    composed = cover_tokens(lm.group, lm.tokenizer, composes=True).composed if lm.action.composes else ()
    return {
        **describe_base(lm, subject.base),
        "rows": rows,
        "scores": lm.method.searches,
        "units": ["/".join(words) for words in composed],
    }


def describe_scorers(scorers: Mapping[Scale, Any]) -> dict[str, dict[str, Any]]:
    """Return for each scorer the name of its classifier, its revision and size, and whether it is a toy.

    Args:
        scorers: The scorers, by their scales.
    """
    return {scale.title: _describe_scorer(scorer) for scale, scorer in scorers.items()}


def _describe_scorer(scorer: Any) -> dict[str, Any]:
    model, name = getattr(scorer, "model", None), getattr(scorer, "name", None)
    source = _source(name) if isinstance(name, str) else ""
    return {
        "source": source or type(model if isinstance(model, nn.Module) else scorer).__name__,
        "revision": getattr(getattr(model, "config", None), "_commit_hash", None),
        "parameters": _parameters(model) if isinstance(model, nn.Module) else None,
        "toy": source == DEMO,
    }


def _source(name: str) -> str:
    """Return a name on the Hub as it is, or the last part of a folder: the rest only concerns this machine."""
    if not name:
        return ""
    path = Path(name)
    if any(path == embedded_folder(own) for own in ("demo_lm", "demo_regard")):
        return DEMO
    return path.name if path.is_absolute() or path.is_dir() else name


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())
