"""The models of an audit, each with coupled sampling, an action to measure it by, and its base."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedModel

from hf_equi.actions import TokenAction, WordAction, token_action
from hf_equi.actions.resolution import resolve_tokens
from hf_equi.auto import symmetrize
from hf_equi.errors import ConfigurationError, GroupWarning, HfEquiWarning
from hf_equi.fairness.auditing.blocks import Block
from hf_equi.groups import DemographicGroup
from hf_equi.models.causal_lm import EquiLM
from hf_equi.models.text.fingerprint import check_tokenizer

__all__ = ["Subject", "make_subjects"]


@dataclass(frozen=True)
class Subject:
    """A model to be audited.

    Args:
        name: Its name in the audit.
        lm: The model that draws its texts, coupled by a seed.
        base: Its base model; the model itself if it is plain.
        scored: The model that gives the likelihood of its texts; `None` if that is not tractable.
        action: The group of the audit on its tokens. If some model of the audit moves words of several tokens, they
            move in the figures of all models.
        words: The group on texts, if texts are compared; `None` to compare tokens.
        coupled: Whether the prompts of a template are images of each other in what the model acts on. If not, each has
            its own noise, and a consistency would be about words other than the demographic.
        exchanged: Whether they are images of each other under the group of the audit. If not, so would a group gap.
    """

    name: str
    lm: EquiLM
    base: PreTrainedModel
    scored: PreTrainedModel | None
    action: TokenAction
    words: WordAction | None
    coupled: bool
    exchanged: bool


def make_subjects(
    models: object,
    group: DemographicGroup,
    tokenizer: Any,
    blocks: Sequence[Block],
    max_new_tokens: int,
) -> tuple[Subject, ...]:
    """Prepare models for an audit.

    Args:
        models: Models by name: plain ones, and `EquiLM`s of any method.
        group: The group of the audit, not relaxed.
        tokenizer: The tokenizer of all models.
        blocks: The prompts.
        max_new_tokens: The most tokens of each continuation.

    Raises:
        ConfigurationError: Without models; for an empty name, a model in training mode, a model whose own group lacks
            a factor of this one, or a prompt too long for its positions.
        UnsupportedModelError: For a plain model that no EquiLM could be made from.
    """
    if not isinstance(models, Mapping) or not models:
        raise ConfigurationError('models needs at least one model by name, as in {"base": model, "EquiLM": lm}.')
    composes = any(isinstance(model, EquiLM) and model.action.composes for model in models.values())
    audited = _Audited(group, tokenizer, "compose" if composes else "skip")
    with warnings.catch_warnings():
        if composes:  # models said what stays in them when they were made, and the figures read other words
            warnings.simplefilter("ignore", GroupWarning)
        return tuple(_make_subject(name, model, audited, blocks, max_new_tokens) for name, model in models.items())


@dataclass(frozen=True)
class _Audited:
    """The group of an audit, and how it reads words of several tokens."""

    group: DemographicGroup
    tokenizer: Any
    multi_token: str

    def action(self, lm: EquiLM, composes: bool | None = None) -> TokenAction:
        """Return the group on the tokens of a model, as the audit or the model reads words of several tokens."""
        own: TokenAction = lm.action
        multi_token = self.multi_token if composes is None else ("compose" if composes else "skip")
        if own.group.unrelax() == self.group and own.composes == (multi_token == "compose"):
            return own
        return token_action(
            self.group, resolve_tokens(self.group, self.tokenizer, lm.config.vocab_size, multi_token), own.device
        )


def _make_subject(
    name: object, model: object, audited: _Audited, blocks: Sequence[Block], max_new_tokens: int
) -> Subject:
    if not isinstance(name, str) or not name.strip():
        raise ConfigurationError(f"A model has the name {name!r}: name it, as in {{'base': model}}.")
    if not isinstance(model, PreTrainedModel):
        raise ConfigurationError(f"The model {name!r} is a {type(model).__name__}: pass a PreTrainedModel.")
    if model.training:
        raise ConfigurationError(f"The model {name!r} is in training mode, so its texts are noisy: call model.eval().")
    tokenizer = audited.tokenizer
    if isinstance(model, EquiLM):
        _check_group(name, model, audited.group)
        expected, cut = model.config.tokenizer_fingerprint, model.config.tokenizer_cut_fingerprint
        check_tokenizer(tokenizer, expected, f"the audit of {name!r}", cut)
        lm = model
    else:
        lm = symmetrize(model, audited.group, "identity", tokenizer=tokenizer, multi_token="skip")
        lm.coupling = audited.action(lm)  # a plain model moves nothing itself, so any prompts may share their noise
    action = lm.coupling or audited.action(lm)
    _check_lengths(name, lm, blocks, max_new_tokens)
    own = lm if isinstance(model, EquiLM) else model
    words = WordAction(action.group) if lm.acts_on_words else None
    if words is not None and any(block.chat is not None for block in blocks):
        raise ConfigurationError(
            f"The model {name!r} acts on words, which would lose the turns of a chat: let it act on tokens, or ask "
            "without a chat."
        )
    exchanged = words is not None or _exchanges(blocks, action, _NEITHER.format(name))
    is_tied = lm.coupling is action or lm.action.composes == action.composes
    moved = action if is_tied else audited.action(lm, lm.action.composes)
    coupled = exchanged and (words is not None or moved is action or _exchanges(blocks, moved, _APART.format(name)))
    return Subject(
        name=name,
        lm=lm,
        base=lm.base,
        scored=own if lm.scores_its_texts else None,
        action=action,
        words=words,
        coupled=coupled,
        exchanged=exchanged,
    )


def _check_group(name: str, lm: EquiLM, group: DemographicGroup) -> None:
    own = [factor.sets for factor in lm.group.factors]
    for factor in group.factors:
        if factor.sets not in own:
            raise ConfigurationError(
                f"The model {name!r} was symmetrised to {lm.group!r}, which lacks the sets of "
                f"[{', '.join(factor.names)}]. Audit it with its own group, or symmetrize its base again."
            )


def _check_lengths(name: str, lm: EquiLM, blocks: Sequence[Block], max_new_tokens: int) -> None:
    limit = getattr(lm.base.config.get_text_config(), "max_position_embeddings", None)
    for block in blocks:
        for prompt, tokens in zip(block.prompts, block.tokens, strict=True):
            if limit is not None and len(tokens) + max_new_tokens > limit:
                raise ConfigurationError(
                    f"The prompt {textwrap.shorten(prompt, 60, placeholder=' ...')!r} has {len(tokens)} tokens, and "
                    f"max_new_tokens={max_new_tokens} goes beyond the {limit} positions of the model {name!r}: "
                    "shorten one."
                )


_NEITHER = "with its tokens exchanged, so the model {!r} has no group gap and no consistency here."
_APART = "with the words exchanged that the model {!r} moves, so the model has no consistency here."


def _exchanges(blocks: Sequence[Block], action: TokenAction, ending: str) -> bool:
    """Whether the prompts of each template are images of each other; warn of the first ones that are not."""
    for block in blocks:
        if not _are_images(block, action):
            warnings.warn(f"{block.prompts[1]!r} is not {block.prompts[0]!r} {ending}", HfEquiWarning, stacklevel=4)
            return False
    return True


def _are_images(block: Block, action: TokenAction) -> bool:
    """Whether the prompts of a template are images of the first one, in the order of the elements."""
    if block.neutral:
        return True
    images = (tuple(action.member(g, block.tokens[0])) for g in range(action.group.order))
    return list(images) == list(block.tokens)
