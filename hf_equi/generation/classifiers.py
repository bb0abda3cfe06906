"""A text classifier as a loss: how it is loaded, how it reads texts, and the settings that reload it."""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from pathlib import Path
from textwrap import shorten
from typing import Any, ClassVar, Self

import torch
import transformers
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedModel

from hf_equi.bases.embedded import embedded_folder
from hf_equi.bases.hub_names import check_hub_name
from hf_equi.bases.loading import load_safetensors, without_question
from hf_equi.bases.reading import reading
from hf_equi.bases.tokenizers import read_tokenizer
from hf_equi.bases.weight_marks import mark_weights, weights_changed
from hf_equi.checks import check_choice, check_count
from hf_equi.errors import ConfigurationError
from hf_equi.generation.subject_mask import SubjectMask
from hf_equi.groups import DemographicGroup

__all__ = ["DEMO", "ClassifierScorer"]

DEMO = "demo"
"""The name of the embedded classifier."""

_SCORES = ("probability", "label")
_KIND = "ForSequenceClassification"
_HEAD = re.compile(r"For[A-Z]|LMHead")
# The arguments of from_pretrained that the tokenizer takes too, and those that settings keep. Settings keep no token,
# no cache folder, and no permission to run code, which a checkpoint must not give itself.
_OF_THE_TOKENIZER = ("revision", "subfolder", "trust_remote_code", "token", "cache_dir", "local_files_only")
_STORED = ("revision", "subfolder", "variant", "dtype", "torch_dtype")


class ClassifierScorer(ABC):
    r"""The mean loss of a text under the labels that a classifier gives it.

    $$ l(y) = \sum_k P(k \mid y) \, l_k $$

    or with `score="label"` the loss l_k of the most probable label. A subclass says which labels k there are
    (`label_names`), what each costs (`label_losses`), and how the classifier's outputs give their probabilities.

    If a text is longer than the classifier can read, only its end is scored, because that is where drafts differ. The
    classifier scores in eval mode and is then left as it was.

    Args:
        model: A sequence classifier: its name on the Hub, a folder, `"demo"` for the embedded one, or the model
            itself.
        tokenizer: The classifier's tokenizer, if `model` is an object. It must have a padding token.
        score: `"probability"` or `"label"`.
        mask: A group whose words are hidden from the classifier: see `SubjectMask`.
        batch_size: The number of texts that go through the classifier at once.
        **from_pretrained_kwargs: For a model given by name: `device_map`, `dtype`, `revision` and the like.

    Raises:
        ConfigurationError: If the tokenizer is missing or has no padding, the score is unknown, the batch size is
            below 1, the mask is not a `DemographicGroup`, or the checkpoint has no safetensors; if one text is passed
            instead of a list; if a name leads to no model, or to one that does not classify texts.

    Cost: one forward of the classifier for each distinct text.
    """

    label_names: tuple[str, ...]
    """The labels, in the order of `probabilities`."""
    label_losses: tuple[float, ...]
    """The loss of each label."""
    default_name: ClassVar[str | None] = None
    """The classifier that is used if none is named."""
    own_settings: ClassVar[tuple[str, ...]] = ()
    """Arguments of a subclass that are kept in its settings."""

    def __init__(
        self,
        model: str | Path | PreTrainedModel,
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
                raise ConfigurationError(f"{names}: only used if the classifier is loaded by name")
            _check_kind("The scorer", [type(model).__name__])
            self.model = model
        else:
            if not isinstance(model, str | os.PathLike):
                raise ConfigurationError(
                    f"A {type(model).__name__} is not a classifier of transformers: pass the name of one, its folder "
                    "or the model itself. Of a peft model, pass model.merge_and_unload()."
                )
            name = str(model)
            # Stored as an absolute path, so that it is found from any working directory.
            self.name = str(Path(name).absolute()) if name != DEMO and Path(name).is_dir() else name
            self.stored = _plain(from_pretrained_kwargs)
            folder = str(embedded_folder("demo_regard")) if name == DEMO else name
            with _loading(name, name == self.default_name):
                shared = {key: value for key, value in from_pretrained_kwargs.items() if key in _OF_THE_TOKENIZER}
                _check_kind(f"The scorer {name!r}", _stored_classes(folder, from_pretrained_kwargs, shared))
                if tokenizer is None:
                    tokenizer = read_tokenizer(folder, **shared)
                classifier = load_safetensors(AutoModelForSequenceClassification, folder, **from_pretrained_kwargs)
            self.model = classifier.eval()
        if getattr(tokenizer, "pad_token_id", 0) is None:
            raise ConfigurationError(
                "The classifier's tokenizer has no padding token, so it cannot read texts of several lengths at "
                "once: set tokenizer.pad_token (its eos_token works) and model.config.pad_token_id"
            )
        # A copy, because it reads texts in its own way. It keeps the ends of texts that are too long, and pads on the
        # right, since positions counted from the left would depend on the batch.
        self.tokenizer = deepcopy(tokenizer)
        self.tokenizer.truncation_side, self.tokenizer.padding_side = "left", "right"
        self.score = score
        self.batch_size = batch_size
        self.mask = None if mask is None else SubjectMask(mask)
        self._loaded = mark_weights(self.model)

    @abstractmethod
    def _label_probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn outputs of the classifier, `(N, outputs)`, into probabilities of `label_names`, `(N, labels)`."""

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the losses of texts, `(N,)` float32 on the classifier's device."""
        probabilities = self.probabilities(texts)
        losses = torch.tensor(self.label_losses, device=probabilities.device)
        return losses[probabilities.argmax(-1)] if self.score == "label" else (probabilities * losses).sum(-1)

    def probabilities(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the probabilities of `label_names`, `(N, labels)` float32."""
        if isinstance(texts, str):
            raise ConfigurationError(f"A scorer reads a list of texts, not a single text: pass [{texts[:40]!r}]")
        if self.mask is not None:
            texts = [self.mask(text) for text in texts]
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return torch.zeros(0, len(self.label_names), device=self.model.device)
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
        return self._label_probabilities(logits.float())

    def _longest(self) -> int:
        """Return the largest number of tokens that the classifier reads."""
        positions = int(getattr(self.model.config, "max_position_embeddings", None) or 512)
        for name, module in self.model.named_modules():
            # RoBERTa and similar models count positions from the padding token on.
            if name.endswith("position_embeddings") and getattr(module, "padding_idx", None) is not None:
                positions -= int(module.padding_idx) + 1
                break
        return min(positions, int(self.tokenizer.model_max_length))

    def labels(self, texts: Sequence[str]) -> list[str]:
        """Return the most probable of `label_names` for each text."""
        return [self.label_names[index] for index in self.probabilities(texts).argmax(-1).tolist()]

    def masked(self, group: DemographicGroup) -> Self:
        """Return the same classifier with the words of a group hidden from it."""
        _check_settings(self.score, group, self.batch_size)
        masked = copy(self)
        masked.mask = SubjectMask(group)
        return masked

    @property
    def settings(self) -> dict[str, Any] | None:
        """Plain JSON from which `from_settings` makes the classifier again.

        `None` for a classifier that was passed as an object, or whose weights have changed since it was loaded,
        because no name leads back to it. Of the arguments of `from_pretrained`, the settings keep `revision`,
        `subfolder`, `variant` and `dtype`. Permission to run code (`trust_remote_code`) has to be given again.
        """
        if self.name is None or weights_changed(self.model, self._loaded):
            return None
        mask = None if self.mask is None else self.mask.group.to_dict()
        settings = {"name": self.name, "score": self.score, "mask": mask, "batch_size": self.batch_size}
        settings |= {name: getattr(self, name) for name in self.own_settings}
        return {**settings, "from_pretrained": dict(self.stored)} if self.stored else settings

    @classmethod
    def from_settings(cls, settings: dict[str, Any], **from_pretrained_kwargs: Any) -> Self:
        """Make a classifier from its `settings`.

        Raises:
            ConfigurationError: If the settings are damaged; if the name is not a name on the Hub, or is also a folder
                here.
        """
        with reading("The stored scorer", f"Pass one: scorer=hf_equi.{cls.__name__}(...)."):
            name, mask = settings["name"], settings.get("mask")
            if name != DEMO and not Path(name).is_absolute():
                check_hub_name(name, "The scorer")
            arguments = {
                "score": settings.get("score", "probability"),
                "mask": None if mask is None else DemographicGroup.from_dict(mask),
                "batch_size": settings.get("batch_size", 64),
                **{name: settings[name] for name in cls.own_settings},
                **_plain(settings.get("from_pretrained") or {}),
            }
        return cls(name, **{**arguments, **from_pretrained_kwargs})

    def __repr__(self) -> str:
        own = "".join(f", {name}={getattr(self, name)!r}" for name in self.own_settings)
        name = self.name or type(self.model).__name__
        return f"{type(self).__name__}({name!r}{own}, score={self.score!r}, mask={self.mask})"


@contextmanager
def _loading(name: str, default: bool) -> Iterator[None]:
    """Add to an error of transformers which scorer it is about, and how to choose another."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # an error of the machine, such as a full disk
            raise
        said = shorten(str(error), 300, placeholder=" ...").rstrip(".")
        taken = " (the default scorer)" if default else ""
        raise ConfigurationError(
            f"The scorer {name!r}{taken} could not be loaded: {said}. Name a classifier's folder, its name on the "
            'Hub, or "demo" for the embedded one: scorer=hf_equi.RegardScorer("demo"), or --scorer demo on the '
            "command line."
        ) from error


def _stored_classes(folder: str, given: Mapping[str, Any], shared: Mapping[str, Any]) -> Sequence[str]:
    """Return the classes with a head that the config of a classifier names.

    A bare model may have been stored with the weights of a head. Loading reports a config that cannot be read.
    """
    config = given.get("config")
    if config is None:
        try:
            config = AutoConfig.from_pretrained(folder, **without_question(dict(shared)))
        except (OSError, ValueError):
            return []
    return [name for name in getattr(config, "architectures", None) or [] if _HEAD.search(name)]


def _check_kind(what: str, classes: Sequence[str]) -> None:
    """Refuse models of transformers that do not classify texts. Of classes from elsewhere, nothing is known.

    Args:
        what: What the message names.
        classes: The names of the model's classes, as in its config.
    """
    others = [name for name in classes if hasattr(transformers, name) and not name.endswith(_KIND)]
    if others and len(others) == len(classes):
        raise ConfigurationError(
            f"{what} is a {others[0]}, which does not classify texts: a scorer needs a text classifier, such as a "
            f'Bert{_KIND}. Name one, or "demo" for the embedded one.'
        )


def _check_settings(score: str, mask: object, batch_size: object) -> None:
    check_choice("score", score, _SCORES)
    check_count("batch_size", batch_size, "number of texts")
    if mask is not None and not isinstance(mask, DemographicGroup):
        raise ConfigurationError(
            f"mask={mask!r} is not a DemographicGroup: make one, or use DemographicGroup.preset(name)"
        )


def _plain(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that settings keep, as plain JSON."""
    kept = {name: kwargs[name] for name in _STORED if kwargs.get(name) is not None}
    return {
        name: str(value).removeprefix("torch.") if isinstance(value, torch.dtype) else value
        for name, value in kept.items()
        if isinstance(value, str | torch.dtype)
    }


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put all modules in eval mode meanwhile; afterwards each returns to its own mode."""
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        yield
    finally:
        for module in training:
            module.training = True
