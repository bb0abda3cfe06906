"""What every wrapped model of text is: its group acts on tokens, and its vocabulary stays as the group moves it."""

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
    """How groups act on the tokens of such models."""

    @property
    def group(self) -> DemographicGroup:
        """The group that the model is equivariant to."""
        group: DemographicGroup = self.action.group
        return group

    @property
    def action(self) -> Any:
        """How the group acts on tokens, where the weights are."""
        action = super().action
        # Offloaded weights are on no device while they are not needed.
        device = self._weights_device
        if device.type != "meta" and action.device != device:
            action = action.to(device)
            if not torch.compiler.is_exporting():  # tables of a graph that is traced have no numbers
                self._action = action
        return action

    def resolve(self, group: Any) -> Any:
        """The action of a group for one call; of the model's own for `None`.

        Raises:
            ActionError: If no tokenizer knows the group's words.
            ConfigurationError: If the model has no tokenizer, or its method no variant for the group.
        """
        if isinstance(group, self.action_class):
            return group
        if group is not None and not isinstance(group, DemographicGroup):
            raise ConfigurationError(
                f"group={group!r} is no DemographicGroup: make one, or take DemographicGroup.preset"
            )
        if group is None or group == self.group:
            return self.action
        if group.relaxed and not self.method.relaxable:
            raise ConfigurationError(
                f"The method {self.config.method!r} has no relaxed variant for the group {group!r}"
            )
        return self._new_action(group)

    @staticmethod
    def named_members(action: Any, elements: torch.Tensor, ids: torch.Tensor) -> Selection:
        """The members that a caller names, `(batch,)` elements.

        Raises:
            ActionError: If the group has no such element, or there is not one for each text.
        """
        named = read_elements(action.group, torch.as_tensor(elements), ids)
        return Selection(torch.as_tensor(named, device=ids.device).expand(ids.shape[0])[:, None])

    def prepare(self) -> None:
        """Keep the words that stay, once they were found."""
        super().prepare()
        # Of the last actions. Threads and replicas share the list; what one takes out another makes again.
        self._staying: list[StayingWords] = []

    def look_at(self, group: Any, *texts: TextBatch) -> None:
        """Warn of the words that stay in the texts of a forward, but for texts to learn from.

        Args:
            group: Of the call. `generate`, which has looked at the prompts, passes an action.
            *texts: As `warn_of_staying_words`.
        """
        if not (isinstance(group, self.action_class) or self.training):
            self.warn_of_staying_words(*texts)

    def warn_of_staying_words(self, *texts: TextBatch) -> None:
        """Warn of words of the group that stand in texts and stay there, once for all of them.

        Args:
            *texts: One batch, or those of source and target.

        Warns:
            GroupWarning: If there are any.
        """
        if torch.compiler.is_compiling() or isinstance(self.method.select, IdentityMember):  # which moves nothing
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
            self._staying[:] = known, *self._staying[:1]  # of source and target
        return known

    def _new_action(self, group: DemographicGroup) -> Any:
        """The action of another group, by the model's tokenizers."""
        raise NotImplementedError

    @property
    def _weights_device(self) -> torch.device:
        """Where the weights are; replicas of `DataParallel` have no parameters to ask."""
        weight: Any = self.get_input_embeddings().weight
        device: torch.device = weight.device
        return device

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Refused, unless the size stays: the stored token map belongs to this vocabulary.

        Raises:
            ConfigurationError: For another size.
        """
        size = new_num_tokens or embedding_rows(self.base)
        if size != self.config.vocab_size or args or kwargs.get("pad_to_multiple_of"):
            raise ConfigurationError(
                f"The token permutation was made for {self.config.vocab_size} tokens, not for another size. "
                "Resize the base, then wrap it again: base = lm.unwrap(), base.resize_token_embeddings(n), "
                "symmetrize(base, group)"
            )
        if size == embedding_rows(self.base):
            return self.get_input_embeddings()  # a base with two vocabularies refuses to be asked
        return self.base.resize_token_embeddings(new_num_tokens, *args, **kwargs)
