"""The configuration of GroupRecurrentSeq2Seq."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict

from hf_equi.actions import TokenAction
from hf_equi.actions.token_maps import TokenMap
from hf_equi.bases.end_tokens import end_tokens
from hf_equi.errors import ConfigurationError
from hf_equi.groups import DemographicGroup
from hf_equi.networks.recurrent_seq2seq.configuration_recurrent_seq2seq import RecurrentSeq2SeqConfig

__all__ = ["GroupRecurrentSeq2SeqConfig"]

_SPECIAL = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")


@strict
class GroupRecurrentSeq2SeqConfig(RecurrentSeq2SeqConfig):
    r"""Configuration of `GroupRecurrentSeq2Seq`: that of `RecurrentSeq2Seq`, with sizes for each group element.

    Args:
        group (`dict`, *optional*):
            The group, as `DemographicGroup.to_dict` gives it.
        source_map (`dict`, *optional*):
            The tokens that the group moves in the source language, as `TokenMap.to_dict` gives them.
        target_map (`dict`, *optional*):
            The tokens that the group moves in the target language.

    Raises:
        ConfigurationError: For a group without its tokens, a relaxed group, a map for another vocabulary, or a map
            that moves a special token.
        GroupError: If the description is not that of a group.
        ActionError: For a map that is not a permutation or belongs to another group.

    Example:
        >>> group = DemographicGroup([["jump", "run"]])
        >>> words = TokenMap(vocab_size=5, sets=(((3, 4),),)).to_dict()
        >>> config = GroupRecurrentSeq2SeqConfig(
        ...     vocab_size=5, group=group.to_dict(), source_map=words, target_map=words
        ... )
        >>> config.create_actions()[1].permutations.tolist()
        [[0, 1, 2, 3, 4], [0, 1, 2, 4, 3]]
    """

    model_type = "group_recurrent_seq2seq"

    group: dict[str, Any] | None = None
    source_map: dict[str, Any] | None = None
    target_map: dict[str, Any] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        given = [name for name in ("group", "source_map", "target_map") if getattr(self, name) is not None]
        if not given:
            return
        if len(given) < 3:
            raise ConfigurationError(
                f"A group acts through group, source_map and target_map together, but only {', '.join(given)} was "
                "given: make the model with GroupRecurrentSeq2Seq.from_group(group, source_tokenizer, "
                "target_tokenizer)"
            )
        if DemographicGroup.from_dict(self.group or {}).relaxed:
            raise ConfigurationError(
                "A network over a group has no relaxed variant: use a group without neutral= and general="
            )
        source, target = self.create_actions()
        self._check_size("source_map", source, "vocab_size")
        self._check_size("target_map", target, "decoder_vocab_size")
        self._check_special(target)

    def _check_size(self, name: str, action: TokenAction, size: str) -> None:
        if action.token_map.vocab_size != getattr(self, size):
            raise ConfigurationError(
                f"{name} was made for {action.token_map.vocab_size} tokens, but {size} is {getattr(self, size)}: make "
                "the model again for this vocabulary"
            )

    def _check_special(self, action: TokenAction) -> None:
        for name in _SPECIAL:
            value = getattr(self, name)
            moved = [token for token in end_tokens(value) if token in action.moving]
            if moved:
                raise ConfigurationError(
                    f"{name}={value} is moved by target_map, but special tokens must not move: leave the set with "
                    f"{moved[0]} out of the group"
                )

    def create_actions(self) -> tuple[TokenAction, TokenAction]:
        """Make the group's action on the source and on the target vocabulary.

        Raises:
            ConfigurationError: Without a group.
        """
        if self.group is None or self.source_map is None or self.target_map is None:
            raise ConfigurationError(
                "A GroupRecurrentSeq2Seq needs a group and its tokens: make one with "
                "GroupRecurrentSeq2Seq.from_group(group, source_tokenizer, target_tokenizer)"
            )
        group = DemographicGroup.from_dict(self.group)
        source, target = (TokenAction(group, TokenMap.from_dict(one)) for one in (self.source_map, self.target_map))
        return source, target
