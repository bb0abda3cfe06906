"""The card texts of each kind of model. Each class of models has such an object as its `card_kind`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from hf_equi.models.cards.markdown import plain
from hf_equi.models.cards.measuring import Probe
from hf_equi.symmetrizers import MethodText

__all__ = ["BASE", "PLACE", "CardKind"]

PLACE = "PATH_OR_ID_OF_THIS_REPOSITORY"
"""A placeholder for a repository whose name is not known yet."""


BASE = "**The base is the base.** What it knows, what it gets wrong and how it speaks otherwise are unchanged."


class CardKind(ABC):
    """The words and numbers of a card that depend on the task."""

    pipeline_tag: ClassVar[str]
    settings: ClassVar[tuple[str, ...]] = ()
    """The entries of a config that the card lists."""
    tags: ClassVar[tuple[str, ...]] = ()
    what: ClassVar[str]
    """A description of such a model."""
    use: ClassVar[str]
    """The intended use."""

    def method(self, model: Any) -> MethodText:
        """The texts of the card about the model's method."""
        text: MethodText = model.method.text
        return text

    def config_settings(self, model: Any) -> dict[str, Any]:
        """The settings that the card lists, by name."""
        names = ("method", *self.settings, "orbit_chunk_size")
        found = {name: getattr(model.config, name, None) for name in names}
        if model.config.adapter is not None:
            found["adapter"] = model.config.adapter["settings"]["peft_type"]
        return {name: value for name, value in found.items() if value is not None}

    @abstractmethod
    def probe(self, model: Any) -> Probe | None:
        """The inputs and actions that the model is measured with; `None` if it has no outputs to compare."""

    def group_tags(self, model: Any) -> list[str]:
        """The names of the group that the Hub can filter by. By default there are none."""
        return []

    def group_text(self, model: Any) -> str:
        """The group, in Markdown."""
        group = model.group
        return f"`{group!r}`, {group.order} elements: {', '.join(map(plain, group.names))}."

    def guarantee(self, model: Any) -> str:
        """The symmetry that the model has, in a sentence or two."""
        claim = self.method(model).claim
        return (
            claim
            or "Move an input by an element of the group, and the output moves in the same way: $M_G(gx) = g M_G(x)$."
        )

    def limits(self, model: Any) -> list[str]:
        """The limits of the model, one paragraph each."""
        return [*self.method(model).limits, BASE]

    def usage(self, model: Any, place: str) -> str:
        """Lines of Python that load the model and ask it something, after `import hf_equi`.

        Args:
            model: The model.
            place: The repository, in quotation marks, and any other arguments of `from_pretrained`.
        """
        auto_class = model.auto_class_of(model.config).__name__
        return f"from transformers import {auto_class}\nmodel = {auto_class}.from_pretrained({place})"
