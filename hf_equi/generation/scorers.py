r"""Scorers: the loss of each text, which the search of EquizeroLM minimises.

A scorer is any callable from a list of N texts to a tensor of N losses. `RegardScorer` is the one that the papers use.
`LabelScorer` takes a label of any other classifier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel

from hf_equi.checks import check_choice
from hf_equi.errors import ConfigurationError
from hf_equi.generation.classifiers import ClassifierScorer

__all__ = [
    "DEFAULT_REGARD",
    "LABELS",
    "LabelScorer",
    "RegardScorer",
    "Scorer",
    "score_texts",
    "stored_scorer",
    "written_scorer",
]

Scorer = Callable[[list[str]], torch.Tensor]
"""From N texts to `(N,)` losses."""

LABELS = ("negative", "neutral", "positive")
"""The labels of regard, in the order of `RegardScorer.probabilities`."""

DEFAULT_REGARD = "sasha/regardv3"
"""The published classifier that is used if none is named."""

_SPELLINGS = {
    "negative": 0, "neg": 0, "-1": 0,
    "neutral": 1, "neu": 1, "0": 1,
    "positive": 2, "pos": 2, "1": 2,
}  # fmt: skip
_OTHER = ("other", "2")


class RegardScorer(ClassifierScorer):
    r"""The regard that a text shows towards its subject, as a loss.

    $$ l(y) = -\big(P(\text{positive} \mid y) - P(\text{negative} \mid y)\big) $$

    or with `score="label"` minus the value of the most probable label, −1, 0 or 1: −1 is the best, 1 the worst. The
    probabilities sum to less than 1 if the classifier has a fourth label. `ClassifierScorer` says how texts are read,
    and which errors are raised.

    Args:
        model: A sequence classifier: its name on the Hub, a folder, `"demo"` for the embedded one, or the model
            itself. Its labels are read from `config.id2label`: negative, neutral, positive, and possibly other.
        tokenizer: The classifier's tokenizer, if `model` is an object.
        **settings: `score`, `mask`, `batch_size`, and for a model given by name the arguments of `from_pretrained`:
            see `ClassifierScorer`.

    Raises:
        ConfigurationError: If the labels cannot be mapped, and as in `ClassifierScorer`.

    Cost: one forward of the classifier for each distinct text.

    References:
        Sheng et al. 2019, arXiv 1909.01326 (regard); arXiv 2305.09900 §4.1 (as the loss of EquizeroLM).

    Example:
        >>> scorer = RegardScorer("demo")
        >>> scorer(["XYZ was known for murder.", "XYZ was known for kindness."]).shape
        torch.Size([2])
    """

    label_names = LABELS
    label_losses = (1.0, 0.0, -1.0)
    default_name = DEFAULT_REGARD

    def __init__(
        self, model: str | Path | PreTrainedModel = DEFAULT_REGARD, tokenizer: Any = None, **settings: Any
    ) -> None:
        super().__init__(model, tokenizer, **settings)
        self.columns = _label_columns(self.model.config)

    def _label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.softmax(-1)[:, self.columns]


class LabelScorer(ClassifierScorer):
    r"""The probability of one label of a classifier, as a loss: toxicity, negative sentiment, and the like.

    $$ l(y) = P(k \mid y) $$

    or with `score="label"` 1 if that probability is above a half, and 0 otherwise. The probability is the one that
    `pipeline("text-classification")` gives: a softmax over the labels. It is a sigmoid for a classifier whose labels
    do not exclude each other (`problem_type="multi_label_classification"`, or a single output). Its `label_names` are
    the label and "not" the label. `ClassifierScorer` says how texts are read, and which errors are raised.

    Args:
        model: A sequence classifier: its name on the Hub, a folder, `"demo"` for the embedded one, or the model
            itself.
        label: The label to minimise, as in `config.id2label`. Case is ignored, unless two labels differ only by case.
        tokenizer: The classifier's tokenizer, if `model` is an object.
        **settings: `score`, `mask`, `batch_size`, and for a model given by name the arguments of `from_pretrained`:
            see `ClassifierScorer`.

    Raises:
        ConfigurationError: If the classifier lacks the label, if the model gives a number instead of labels
            (`problem_type="regression"`), and as in `ClassifierScorer`.

    Cost: one forward of the classifier for each distinct text.

    Example:
        >>> scorer = LabelScorer("demo", "negative")
        >>> scorer.label_names
        ('negative', 'not negative')
    """

    label_losses = (1.0, 0.0)
    own_settings: ClassVar[tuple[str, ...]] = ("label",)

    def __init__(
        self, model: str | Path | PreTrainedModel, label: str, tokenizer: Any = None, **settings: Any
    ) -> None:
        super().__init__(model, tokenizer, **settings)
        config = self.model.config
        problem = getattr(config, "problem_type", None)
        if problem == "regression":
            raise ConfigurationError(
                "The scorer's problem_type is 'regression', so it gives a number and no labels. Pass a classifier, "
                "or your own function from texts to losses."
            )
        self.column, self.label = _column(config, label)
        self.label_names = (self.label, f"not {self.label}")
        self.sigmoid = problem == "multi_label_classification" or self.model.config.num_labels == 1

    def _label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        found = (logits.sigmoid() if self.sigmoid else logits.softmax(-1))[:, self.column]
        return torch.stack([found, 1 - found], -1)


def stored_scorer(settings: Any) -> ClassifierScorer:
    """Return the scorer that a checkpoint names, of either kind.

    Args:
        settings: The settings, as a scorer's `settings` gives them.

    Raises:
        ConfigurationError: As in `ClassifierScorer.from_settings`.
    """
    return _kind(settings).from_settings(settings)


def written_scorer(settings: dict[str, Any]) -> str:
    """Return a stored scorer as it is written in Python, for cards.

    Example:
        >>> written_scorer({"name": "me/toxicity", "label": "toxic"})
        "LabelScorer('me/toxicity', label='toxic')"
    """
    kind = _kind(settings)
    own = "".join(f", {name}={settings[name]!r}" for name in kind.own_settings)
    return f"{kind.__name__}({settings['name']!r}{own})"


def _kind(settings: Any) -> type[ClassifierScorer]:
    return LabelScorer if isinstance(settings, dict) and "label" in settings else RegardScorer


def score_texts(scorer: Scorer, texts: Sequence[str], device: torch.device) -> torch.Tensor:
    """Return checked losses of texts, `(N,)` float64 on `device`. Equal texts are scored once and get equal losses.

    Raises:
        ConfigurationError: If the scorer returns anything but N real numbers, finite or infinite, on the CPU or on
            `device`.
    """
    distinct = list(dict.fromkeys(texts))
    losses = scorer(list(distinct))  # a copy, in case the scorer changes its list
    name = (
        type(scorer).__name__ if isinstance(scorer, nn.Module) else getattr(scorer, "__name__", None) or repr(scorer)
    )
    if not isinstance(losses, torch.Tensor):
        raise ConfigurationError(
            f"The scorer {name} returned a {type(losses).__name__}: return a tensor with one loss for each text"
        )
    if tuple(losses.shape) != (len(distinct),):
        raise ConfigurationError(
            f"The scorer {name} returned losses of shape {tuple(losses.shape)} for {len(distinct)} texts: return "
            f"({len(distinct)},), one loss for each text"
        )
    if losses.is_complex():
        raise ConfigurationError(f"The scorer {name} returned complex losses: return real numbers")
    own = getattr(getattr(scorer, "model", None), "device", None)
    if losses.device.type not in {"cpu", device.type, getattr(own, "type", "cpu")}:
        raise ConfigurationError(
            f"The scorer {name} returned losses on the device {losses.device}: return them on the CPU or on {device}, "
            "where the language model is"
        )
    if losses.isnan().any():
        raise ConfigurationError(
            f"The scorer {name} returned NaN for the text {distinct[int(losses.isnan().int().argmax())]!r}: every "
            "text needs a loss, which may be infinite"
        )
    place = {text: index for index, text in enumerate(distinct)}
    return losses.detach().to(device, torch.float64)[[place[text] for text in texts]]


def _column(config: Any, label: object) -> tuple[int, str]:
    """Return which output of the classifier a label is, and how the classifier spells it."""
    spelt = {str(name): int(index) for index, name in config.id2label.items()}
    alike = [name for name in spelt if name.lower() == str(label).lower()]
    name = alike[0] if len(alike) == 1 else label
    check_choice("label", name, tuple(spelt))
    return spelt[str(name)], str(name)


def _label_columns(config: Any) -> list[int]:
    """Return which output of the classifier is which label."""
    found: dict[int, int] = {}
    spelt = {int(index): str(label) for index, label in config.id2label.items()}
    for index, label in spelt.items():
        if label.lower() in _SPELLINGS:
            found[_SPELLINGS[label.lower()]] = index
        elif label.lower() not in _OTHER:
            raise ConfigurationError(_LABEL_ADVICE.format(list(spelt.values()), label))
    missing = [LABELS[label] for label in range(len(LABELS)) if label not in found]
    if missing or len(found) + sum(label.lower() in _OTHER for label in spelt.values()) != len(spelt):
        raise ConfigurationError(_LABEL_ADVICE.format(list(spelt.values()), ", ".join(missing) or "one of them twice"))
    return [found[label] for label in range(len(LABELS))]


_LABEL_ADVICE = (
    "The classifier's labels {} cannot be mapped to negative, neutral and positive (see {!r}). Name them in its "
    'config, in the order of its outputs: model.config.id2label = {{0: "negative", 1: "neutral", 2: "positive"}}. '
    "For another kind of classifier, name the label to minimise: LabelScorer(model, label), or --scorer NAME:LABEL."
)
