"""The EquiLMs of a page: all share one base, and each has the group and the method that a visitor chose."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from hf_equi.auto import symmetrize
from hf_equi.errors import ActionError, GroupError
from hf_equi.fairness.prompts import OCCUPATION, fill
from hf_equi.groups import DemographicGroup, preset_names
from hf_equi.models.causal_lm import EquiLM
from hf_equi.models.causal_lm.methods import combines, create
from hf_equi.registration import method_names
from hf_equi.symmetrizers import Identity

__all__ = ["OWN_GROUP", "Models", "is_preset"]

OWN_GROUP = "the model's own"
"""The name of a saved model's own group."""

_LARGEST = 64  # members of an orbit, each with its texts and its bars
_KEPT = 16  # models; each has tables of the size of the vocabulary, but no weights


class Models:
    """The EquiLMs of one base.

    Args:
        lm: The first of them.
        group: The name of its group on the page.
        read_group: Makes a group from the name of a preset, with elements or not, or from a product.
        scorer: Loads the scorer of a search, when it is first needed.
    """

    def __init__(
        self,
        lm: EquiLM,
        group: str,
        read_group: Callable[[str], DemographicGroup],
        scorer: Callable[[], Any],
    ) -> None:
        self.first, self.group, self.method = lm, group, str(lm.config.method)
        self._read, self._scorer = read_group, scorer
        self._made: OrderedDict[tuple[str, str], EquiLM] = OrderedDict()

    @property
    def groups(self) -> list[str]:
        """Return the groups to choose from, starting with the first. Visitors can also write products of presets."""
        return list(dict.fromkeys([self.group, *preset_names()]))

    @property
    def methods(self) -> list[str]:
        """Return the methods to choose from. The base itself is shown beside each."""
        return [name for name in method_names("causal_lm") if name == self.method or _is_of_use(name)]

    def read_group(self, text: str) -> DemographicGroup:
        """Return a group that a visitor has chosen or written.

        Files are not read: a visitor could otherwise read the files of the machine that serves the page.

        Raises:
            GroupError: If the text is not made of presets, or has more elements than a page can show.
        """
        text = text.strip()
        if text == self.group:
            return self.first.group
        if not is_preset(text):
            raise GroupError(
                f"{text!r} is not made of presets: choose {', '.join(preset_names())}, some of its elements such as "
                "race:Black,White, or a product such as gender*race. Pass your own word list on the command line: "
                "hf-equi demo --group FILE."
            )
        group = self._read(text)
        if group.order > _LARGEST:
            raise GroupError(
                f"{text!r} has {group.order} elements, but this page shows at most {_LARGEST}: leave out a preset, or "
                "take only some of its elements, such as race:Black,White."
            )
        return group

    def suggest(self, text: str) -> str:
        """Return a prompt that the group moves; an empty text if its names do not fit a prompt."""
        try:  # only the first factor of a product: its joined names are not English
            return fill(OCCUPATION[0], self.read_group(text).factors[0].names[0])
        except ValueError:
            return ""

    def get(self, group: str, method: str) -> EquiLM:
        """Return the EquiLM of a group and a method, made once.

        Raises:
            ActionError: If no word of the group is one token.
            HfEquiError: As in `read_group` and `symmetrize`.
        """
        group = group.strip()
        if (group, method) == (self.group, self.method):
            return self.first
        if (group, method) not in self._made:
            self._made[group, method] = self._make(self.read_group(group), group, method)
        self._made.move_to_end((group, method))
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)
        return self._made[group, method]

    def _make(self, group: DemographicGroup, name: str, method: str) -> EquiLM:
        own, made = self.first.config, create(method, "logits")
        settings: dict[str, Any] = {"scorer": self._scorer()} if made.searches else {}
        if combines(made) and own.multi_token == "compose":
            settings |= {name: getattr(own, name) for name in ("multi_token", "look_ahead", "unlooked_share")}
        else:
            settings["multi_token"] = "skip"
        lm: EquiLM = symmetrize(
            self.first.unwrap(),
            group,
            method,
            task="causal_lm",
            tokenizer=self.first.tokenizer,
            average=self.first.config.average,
            **settings,
        )
        if not len(lm.action.moved):
            raise ActionError(
                f"The group {name} moves nothing: none of its words is one token of this model. Choose another group."
            )
        return lm


def _is_of_use(method: str) -> bool:
    """Whether a method changes the base, and needs no training first."""
    return method != Identity.name and not create(method, "logits").needs_training


def is_preset(text: str) -> bool:
    """Whether a text names a preset, some of its elements, or a product of presets."""
    return {part.partition(":")[0].strip() for part in text.split("*")} <= {*preset_names()}
