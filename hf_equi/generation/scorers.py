r"""Scorers: what the search of EquizeroLM minimises, a loss for each text.

A scorer is any callable from a list of N texts to a tensor of N losses. `RegardScorer` is the one of the papers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.hub_names import check_hub_name
from hf_equi.bases.loading import load_safetensors
from hf_equi.bases.reading import reading
from hf_equi.bases.tokenizers import read_tokenizer
from hf_equi.bases.weight_marks import mark_weights, weights_changed
from hf_equi.checks import check_choice, check_count
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.groups.forms import composed
from hf_equi.groups.matching import compile_words

__all__ = ["DEFAULT_REGARD", "LABELS", "RegardScorer", "Scorer", "SubjectMask", "score_texts"]

Scorer = Callable[[list[str]], torch.Tensor]
"""From N texts to `(N,)` losses."""

LABELS = ("negative", "neutral", "positive")
"""The labels of regard, in the order of `RegardScorer.probabilities`."""

DEFAULT_REGARD = "sasha/regardv3"
"""The published classifier that is used where none is named."""

_SPELLINGS = {
    "negative": 0, "neg": 0, "-1": 0,
    "neutral": 1, "neu": 1, "0": 1,
    "positive": 2, "pos": 2, "1": 2,
}  # fmt: skip
_OTHER = ("other", "2")
_SCORES = ("probability", "label")
# Of the arguments of from_pretrained, those that the tokenizer takes too, and those that settings keep: not the token,
# not the place of a cache, and no leave to run code, which a checkpoint must not give itself.
_OF_THE_TOKENIZER = ("revision", "subfolder", "trust_remote_code", "token", "cache_dir", "local_files_only")
_STORED = ("revision", "subfolder", "variant", "dtype", "torch_dtype")
MASK = "XYZ"
"""What stands for a demographic in the data of Sheng et al. 2019."""


class RegardScorer:
    r"""The regard of a text towards its subject, as a loss.

    $$ l(y) = -\big(P(\text{positive} \mid y) - P(\text{negative} \mid y)\big) $$

    or with `score="label"` minus the value of the most probable label, −1, 0 or 1. Of a text that is longer than the
    classifier reads its end is scored, where drafts differ. The classifier scores in eval mode and is left as it was.

    Args:
        model: A sequence classifier: its name on the Hub, a folder, `"demo"` for the embedded one, or the model. Its
            labels are read from `config.id2label`: negative, neutral, positive, and possibly other.
        tokenizer: The classifier's, for a `model` that is an object. It has to have a padding token.
        score: `"probability"` or `"label"`.
        mask: A group whose words are hidden from the classifier, which is biased itself: see `SubjectMask`.
        batch_size: Texts that go through the classifier at once.
        **from_pretrained_kwargs: For a model given by name: `device_map`, `dtype`, `revision` and the like.

    Raises:
        ConfigurationError: For labels that cannot be mapped, a missing tokenizer or one without padding, an unknown
            score, a batch below 1, a mask that is not a `DemographicGroup`, a checkpoint without safetensors; for one
            text in place of a list; for a name without a model.

    Cost: one forward of the classifier for each distinct text.

    References:
        Sheng et al. 2019, arXiv 1909.01326 (regard); arXiv 2305.09900 §4.1 (as the loss of EquizeroLM).

    Example:
        >>> scorer = RegardScorer("demo")
        >>> scorer(["XYZ was known for murder.", "XYZ was known for kindness."]).shape
        torch.Size([2])
    """

    def __init__(
        self,
        model: str | Path | PreTrainedModel = DEFAULT_REGARD,
        tokenizer: Any = None,
        *,
        score: str = "probability",
        mask: DemographicGroup | None = None,
        batch_size: int = 64,
        **from_pretrained_kwargs: Any,
    ) -> None:
        _check_settings(score, mask, batch_size)
        self.name: str | None = None
        self.stored: dict[str, Any] = {}
        if isinstance(model, PreTrainedModel):
            if tokenizer is None:
                raise ConfigurationError("A classifier passed as an object needs its tokenizer: pass tokenizer=")
            if from_pretrained_kwargs:
                names = ", ".join(sorted(from_pretrained_kwargs))
                raise ConfigurationError(f"{names}: only used where a classifier is loaded by its name")
            self.model = model
        else:
            name = str(model)
            # A folder is found again from any other one.
            self.name = str(Path(name).absolute()) if name != "demo" and Path(name).is_dir() else name
            self.stored = _plain(from_pretrained_kwargs)
            folder = str(embedded_folder("demo_regard")) if name == "demo" else name
            with _loading(name):
                if tokenizer is None:
                    shared = {
                        key: from_pretrained_kwargs[key] for key in _OF_THE_TOKENIZER if key in from_pretrained_kwargs
                    }
                    tokenizer = read_tokenizer(folder, **shared)
                classifier = load_safetensors(AutoModelForSequenceClassification, folder, **from_pretrained_kwargs)
            self.model = classifier.eval()
        if getattr(tokenizer, "pad_token_id", 0) is None:
            raise ConfigurationError(
                "The classifier's tokenizer has no padding token, so texts of several lengths cannot be read at once: "
                "set tokenizer.pad_token (its eos_token serves) and model.config.pad_token_id"
            )
        self.columns = _label_columns(self.model.config)
        # A copy, as it reads texts in its own way: their ends, where they are too long, and padded on the right, as
        # positions from the left would depend on the batch.
        self.tokenizer = deepcopy(tokenizer)
        self.tokenizer.truncation_side, self.tokenizer.padding_side = "left", "right"
        self.score = score
        self.batch_size = batch_size
        self.mask = None if mask is None else SubjectMask(mask)
        self._loaded = mark_weights(self.model)

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Losses of texts, `(N,)` float32 on the classifier's device: −1 is the best, 1 the worst."""
        probabilities = self.probabilities(texts)
        if self.score == "label":
            return 1.0 - _most_probable(probabilities).float()
        return probabilities[:, 0] - probabilities[:, 2]

    def probabilities(self, texts: Sequence[str]) -> torch.Tensor:
        """The probabilities of `LABELS`, `(N, 3)` float32; they sum to less than 1 where there is a fourth label."""
        if isinstance(texts, str):
            raise ConfigurationError(f"A scorer reads a list of texts, not one text: pass [{texts[:40]!r}]")
        if self.mask is not None:
            texts = [self.mask(text) for text in texts]
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return torch.zeros(0, len(LABELS), device=self.model.device)
        starts = range(0, len(distinct), self.batch_size)
        with _evaluating(self.model):
            scored = torch.cat([self._classify(distinct[start : start + self.batch_size]) for start in starts])
        place = {text: index for index, text in enumerate(distinct)}
        return scored[[place[text] for text in texts]]

    @torch.no_grad()
    def _classify(self, texts: list[str]) -> torch.Tensor:
        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self._longest(), return_tensors="pt"
        ).to(self.model.device)
        logits: torch.Tensor = self.model(**inputs).logits
        return logits.float().softmax(-1)[:, self.columns]

    def _longest(self) -> int:
        """Tokens that the classifier reads at most."""
        positions = int(getattr(self.model.config, "max_position_embeddings", None) or 512)
        for name, module in self.model.named_modules():
            # RoBERTa and its like count from the padding token on.
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                positions -= int(module.padding_idx) + 1
                break
        return min(positions, int(self.tokenizer.model_max_length))

    def labels(self, texts: Sequence[str]) -> list[str]:
        """The most probable of `LABELS` for each text."""
        return [LABELS[index] for index in _most_probable(self.probabilities(texts)).tolist()]

    def masked(self, group: DemographicGroup) -> RegardScorer:
        """The same classifier with the words of a group hidden from it."""
        _check_settings(self.score, group, self.batch_size)
        masked = copy(self)
        masked.mask = SubjectMask(group)
        return masked

    @property
    def settings(self) -> dict[str, Any] | None:
        """Plain JSON from which `from_settings` makes it again.

        `None` for a classifier that was passed as an object, or whose weights have changed since it was loaded: no
        name leads back to it. Of the arguments of `from_pretrained`, `revision`, `subfolder`, `variant` and `dtype`
        are kept; leave to run code (`trust_remote_code`) has to be given again.
        """
        if self.name is None or weights_changed(self.model, self._loaded):
            return None
        mask = None if self.mask is None else self.mask.group.to_dict()
        settings = {"name": self.name, "score": self.score, "mask": mask, "batch_size": self.batch_size}
        return {**settings, "from_pretrained": dict(self.stored)} if self.stored else settings

    @classmethod
    def from_settings(cls, settings: dict[str, Any], **from_pretrained_kwargs: Any) -> RegardScorer:
        """The inverse of `settings`.

        Raises:
            ConfigurationError: For settings that are damaged; for a name that is not one of the Hub, or that a folder
                here has.
        """
        with reading("The stored scorer", "Pass one: scorer=hf_equi.RegardScorer(...)."):
            name, mask = settings["name"], settings.get("mask")
            if name != "demo" and not Path(name).is_absolute():
                check_hub_name(name, "The scorer")
            arguments = {
                "score": settings.get("score", "probability"),
                "mask": None if mask is None else DemographicGroup.from_dict(mask),
                "batch_size": settings.get("batch_size", 64),
                **_plain(settings.get("from_pretrained") or {}),
            }
        return cls(name, **{**arguments, **from_pretrained_kwargs})

    def __repr__(self) -> str:
        return f"RegardScorer({self.name or type(self.model).__name__!r}, score={self.score!r}, mask={self.mask})"


class SubjectMask:
    """Writes XYZ for the words of a group, as the annotated data do.

    An article before the word and "person" or "people" after it belong to the subject.

    Args:
        group: Whose words are hidden.

    Example:
        >>> SubjectMask(DemographicGroup([["Black", "White"]]))("The Black person was known for kindness")
        'XYZ was known for kindness'
    """

    def __init__(self, group: DemographicGroup) -> None:
        self.group = group
        words = {word for row in group.forms() for word in row.words}
        inner = compile_words(words)
        # Of the matches of that pattern, which takes any whole word, those that are words of the group.
        self._words, self._inner = words, inner
        self._article = re.compile(r"\b(?:[Tt]he|THE|[Aa]n?)\s+$")
        self._person = re.compile(r"^\s+(?:person|people|persons)\b")

    def __call__(self, text: str) -> str:
        """The text with its subjects hidden."""
        pieces: list[str] = []
        text, end = composed(text), 0
        for match in self._inner.finditer(text):
            if match[0] not in self._words:
                continue
            before = self._article.sub("", text[end : match.start()])
            if not pieces or before.strip():  # else "Black woman", one subject named by two words
                pieces += [before, MASK]
            after = self._person.match(text[match.end() :])
            end = match.end() + (after.end() if after else 0)
        return "".join([*pieces, text[end:]])

    def __repr__(self) -> str:
        return f"SubjectMask({self.group!r})"


def score_texts(scorer: Scorer, texts: Sequence[str], device: torch.device) -> torch.Tensor:
    """Losses of texts, checked, `(N,)` float64 on `device`. Equal texts are scored once and have equal losses.

    Raises:
        ConfigurationError: If the scorer returns anything but N finite or infinite real numbers on the CPU or on
            `device`.
    """
    distinct = list(dict.fromkeys(texts))
    losses = scorer(list(distinct))  # a copy: what the scorer does to its list is its own affair
    name = (
        type(scorer).__name__ if isinstance(scorer, nn.Module) else getattr(scorer, "__name__", None) or repr(scorer)
    )
    if not isinstance(losses, torch.Tensor):
        raise ConfigurationError(
            f"The scorer {name} returned a {type(losses).__name__}: return a tensor of one loss a text"
        )
    if tuple(losses.shape) != (len(distinct),):
        raise ConfigurationError(
            f"The scorer {name} returned losses of shape {tuple(losses.shape)} for {len(distinct)} texts: return "
            f"({len(distinct)},), one loss a text"
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


@contextmanager
def _loading(name: str) -> Iterator[None]:
    """Say which scorer an error of transformers is about, and how to take another."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # of the machine, such as a full disk
            raise
        said = shorten(str(error), 300, placeholder=" ...").rstrip(".")
        default = " (it is taken where none is named)" if name == DEFAULT_REGARD else ""
        raise ConfigurationError(
            f"The scorer {name!r}{default} could not be loaded: {said}. Name a classifier's folder, its name on the "
            'Hub, or "demo" for the embedded one: scorer=hf_equi.RegardScorer("demo"), or --scorer demo on the '
            "command line."
        ) from error


def _check_settings(score: str, mask: object, batch_size: object) -> None:
    check_choice("score", score, _SCORES)
    check_count("batch_size", batch_size, "number of texts")
    if mask is not None and not isinstance(mask, DemographicGroup):
        raise ConfigurationError(
            f"mask={mask!r} is not a DemographicGroup: make one, or take DemographicGroup.preset(name)"
        )


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `from_pretrained` that settings keep, as plain JSON."""
    kept = {name: kwargs[name] for name in _STORED if kwargs.get(name) is not None}
    return {
        name: str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
        for name, value in kept.items()
        if isinstance(value, str | torch.dtype)
    }


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """All modules in eval mode; each one's own mode comes back."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True


def _label_columns(config: Any) -> list[int]:
    """Which output of the classifier is which label."""
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
    'config: model.config.id2label = {{0: "negative", 1: "neutral", 2: "positive"}}, in the order of its outputs.'
)


def _most_probable(probabilities: torch.Tensor) -> torch.Tensor:
    return probabilities.argmax(-1)
