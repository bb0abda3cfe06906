"""The base of all wrapped models of text: the group acts on tokens, and the vocabulary keeps its size."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from hf_equi.actions._elements import read_elements
from hf_equi.actions.staying import StayingWords, TextBatch, warn_of_words
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.models.base import EquiPreTrainedModel
from hf_equi.models.text.checkpoints import TextCheckpointMixin, embedding_rows
from hf_equi.symmetrizers import Selection
from hf_equi.symmetrizers.select import IdentityMember

__all__ = ["EquiTextModel"]


class EquiTextModel(TextCheckpointMixin, EquiPreTrainedModel):  # type: ignore[misc]
    """A language model made equivariant to a group that acts on its tokens."""

    action_class: ClassVar[type]
    """The action of groups on the tokens of such models."""

    @property
    def group(self) -> DemographicGroup:
        """The group that the model is equivariant to."""
        group: DemographicGroup = self.action.group
        return group

    @property
    def action(self) -> Any:
        """The group's action on tokens, on the device of the weights."""
        action = super().action
        # Offloaded weights are on no device while they are not in use.
        device = self._weights_device
        if device.type != "meta" and action.device != device:
            action = action.to(device)
            if not torch.compiler.is_exporting():  # in a traced graph the tables have no values
                self._action = action
        return action

    def resolve(self, group: Any) -> Any:
        """Return the action of a group for one call; `None` stands for the model's own group.

        Raises:
            ActionError: If no tokenizer knows the group's words.
            ConfigurationError: If the model has no tokenizer, or its method has no variant for the group.
        """
        if isinstance(group, self.action_class):
            return group
        group = self.checked_group(group)
        return self.action if group == self.group else self._new_action(group)

    def checked_group(self, group: Any) -> DemographicGroup:
        """Return the group of one call; `None` stands for the model's own.

        Raises:
            ConfigurationError: For anything but a group of words, or if the method has no variant for it.
        """
        if group is None:
            return self.group
        if not isinstance(group, DemographicGroup):
            raise ConfigurationError(
                f"group={group!r} is not a DemographicGroup: make one, or use DemographicGroup.preset"
            )
        if group != self.group and group.relaxed and not self.method.relaxable:
            raise ConfigurationError(
                f"The method {self.config.method!r} has no relaxed variant for the group {group!r}"
            )
        return group

    @staticmethod
    def named_members(action: Any, elements: torch.Tensor, ids: torch.Tensor) -> Selection:
        """Return the members that a caller names, `(batch,)` elements.

        Raises:
            ActionError: If the group has no such element, or if there is not exactly one for each text.
        """
        named = read_elements(action.group, torch.as_tensor(elements), ids)
        return Selection(torch.as_tensor(named, device=ids.device).expand(ids.shape[0])[:, None])

    def prepare(self) -> None:
        """Prepare the store of words that stay, so that they are found only once."""
        super().prepare()
        # For the last actions. Threads and replicas share the list. What one removes, another finds again.
        self._staying: list[StayingWords] = []

    def look_at(self, group: Any, *texts: TextBatch) -> None:
        """Warn of words that stay in the texts of a forward, except in training.

        Args:
            group: The group of the call. `generate`, which has checked the prompts, passes an action instead.
            *texts: As in `warn_of_staying_words`.
        """
        if not (isinstance(group, self.action_class) or self.training):
            self.warn_of_staying_words(*texts)

    def warn_of_staying_words(self, *texts: TextBatch) -> None:
        """Warn of words of the group that occur in texts and stay there: one warning for all of them.

        Args:
            *texts: One batch, or the batches of source and target.

        Warns:
            GroupWarning: If there are any.
        """
        if torch.compiler.is_compiling() or isinstance(self.method.select, IdentityMember):  # it moves nothing
            return
        found: set[str] = set()
        for text in texts:
            if text.ids is not None and text.tokenizer is not None:
                found.update(self._words(text).among(text.ids, text.mask))
        warn_of_words(sorted(found))

    def _words(self, text: TextBatch) -> StayingWords:
        known = next((one for one in self._staying if one.serves(text.action, text.tokenizer)), None)
        if known is None:
            known = StayingWords(text.action, text.tokenizer)
            self._staying[:] = known, *self._staying[:1]  # those of source and target
        return known

    def _new_action(self, group: DemographicGroup) -> Any:
        """Return the action of another group, made with the model's tokenizers."""
        raise NotImplementedError

    @property
    def _weights_device(self) -> torch.device:
        """Return the device of the weights; replicas of `DataParallel` have no parameters to ask."""
        weight: Any = self.get_input_embeddings().weight
        device: torch.device = weight.device
        return device

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Refuse another size, because the stored token map belongs to this vocabulary.

        Raises:
            ConfigurationError: For another size.
        """
        size = new_num_tokens or embedding_rows(self.base)
        if size != self.config.vocab_size or args or kwargs.get("pad_to_multiple_of"):
            raise ConfigurationError(
                f"The token permutation was made for {self.config.vocab_size} tokens, not for another size. Resize "
                "the base, then wrap it again: base = lm.unwrap(), base.resize_token_embeddings(n), symmetrize(base, "
                "group)"
            )
        if size == embedding_rows(self.base):
            return self.get_input_embeddings()  # a base with two vocabularies does not answer this
        return self.base.resize_token_embeddings(new_num_tokens, *args, **kwargs)
