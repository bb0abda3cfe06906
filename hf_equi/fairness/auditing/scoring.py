"""The scorers of an audit: their names, and their scores of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import torch

from hf_equi.errors import ConfigurationError
from hf_equi.fairness.scales import REGARD, Scale
from hf_equi.generation.scorers import LABELS

__all__ = ["Measures", "name_scorers"]


def name_scorers(scorer: Any) -> dict[Scale, Any]:
    """Name the scorers of an audit.

    Args:
        scorer: One scorer, several, or several by name. In a list, each is named after its label, or else after its
            classifier.

    Returns:
        The scorers by their scales, in the given order.

    Raises:
        ConfigurationError: If there is no scorer, if one gives only losses, if two have the same name, or if a name
            has a colon.
    """
    several = scorer if isinstance(scorer, Mapping) else dict(enumerate([scorer] if not _is_list(scorer) else scorer))
    if not several:
        raise ConfigurationError("scorer is empty: pass a RegardScorer, a LabelScorer, or several in a list.")
    named: dict[Scale, Any] = {}
    for key, one in several.items():
        _check_scorer(one)
        labels = tuple(getattr(one, "label_names", LABELS))
        first = labels == LABELS and REGARD not in named
        name = "" if first else key if isinstance(key, str) else _own_name(one, labels)
        if not first and (not name.strip() or ":" in name or not name.isprintable()):
            raise ConfigurationError(
                f"A scorer has the name {name!r}: use a text without a colon, as in "
                'scorer={"toxicity": LabelScorer(...)}.'
            )
        scale = Scale(name, labels)
        if any(scale.title == other.title for other in named):
            raise ConfigurationError(
                f"Two scorers have the name {scale.title!r}: give them different names, as in "
                'scorer={"one": LabelScorer(...), "other": LabelScorer(...)}.'
            )
        named[scale] = one
    return named


def _is_list(scorer: Any) -> bool:
    return isinstance(scorer, list | tuple)


def _check_scorer(scorer: Any) -> None:
    if not (callable(getattr(scorer, "probabilities", None)) and callable(getattr(scorer, "masked", None))):
        name = getattr(scorer, "__name__", type(scorer).__name__)
        raise ConfigurationError(
            f"The scorer {name} gives no label probabilities, which the audit needs: pass a RegardScorer, a "
            "LabelScorer, or an object with their methods probabilities and masked."
        )


def _own_name(scorer: Any, labels: Sequence[str]) -> str:
    """Return the label of a scorer that has only one, or the last part of the classifier's name."""
    own = labels[0] if tuple(labels) != LABELS else getattr(scorer, "name", None)
    return PurePath(str(own or type(scorer).__name__)).name.replace(":", "-")


class Measures:
    """The scores of texts, as they are and with the demographic hidden.

    Args:
        scorers: The scorers, from `name_scorers`.
        group: The group whose words are hidden.
    """

    def __init__(self, scorers: Mapping[Scale, Any], group: Any) -> None:
        self.scorers = {scale: (scorer, scorer.masked(group)) for scale, scorer in scorers.items()}

    def columns(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Return the probabilities and the most probable label of each text, plain and masked.

        Raises:
            ConfigurationError: For a scorer that returns anything but probabilities.
        """
        columns: dict[str, list[Any]] = {}
        for scale, both in self.scorers.items():
            for masked, scorer in enumerate(both):
                found = scorer.probabilities(texts)
                _check_probabilities(scorer, found, len(texts), scale.labels)
                found = found.double()  # hard labels may be ints, which JSON would not store as floats
                for place, label in enumerate(scale.labels):
                    columns[scale.column(label, bool(masked))] = found[:, place].tolist()
                best = found.argmax(-1).tolist()
                columns[scale.key("label", bool(masked))] = [scale.labels[place] for place in best]
        return columns


def _check_probabilities(scorer: Any, found: Any, texts: int, labels: Sequence[str]) -> None:
    name = type(scorer).__name__
    if not isinstance(found, torch.Tensor) or tuple(found.shape) != (texts, len(labels)):
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise ConfigurationError(
            f"The probabilities of the scorer {name} have shape {shape} for {texts} texts: return a tensor of shape "
            f"({texts}, {len(labels)}), with one column each for {', '.join(labels)}."
        )
    if not found.isfinite().all() or bool(((found < 0) | (found > 1)).any()):
        raise ConfigurationError(
            f"The scorer {name} returned {found[~((found >= 0) & (found <= 1))][0]:g}, which is not a probability: "
            "return numbers from 0 to 1, not logits."
        )
