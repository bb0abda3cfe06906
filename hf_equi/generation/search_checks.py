"""Checks before the search of EquizeroLM drafts, and how processors are adapted to its rows."""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import nn
from transformers import GenerationConfig, LogitsProcessorList, PreTrainedModel
from transformers.generation import (
    EncoderNoRepeatNGramLogitsProcessor,
    EncoderRepetitionPenaltyLogitsProcessor,
    SynthIDTextWatermarkLogitsProcessor,
    UnbatchedClassifierFreeGuidanceLogitsProcessor,
)

from hf_equi.actions import TokenAction
from hf_equi.actions.reporting import WORDS
from hf_equi.bases.constraints import asked_by_prompt
from hf_equi.checks import check_choice, check_count
from hf_equi.errors import ConfigurationError, UnsupportedModelError
from hf_equi.generation.base_call import check_base
from hf_equi.generation.settings_table import SEARCH, check_settings
from hf_equi.groups import DemographicGroup

__all__ = [
    "ACTIONS",
    "check_call",
    "check_extras",
    "check_length",
    "check_model",
    "check_parts",
    "check_search",
    "check_tokens",
    "position_limit",
    "processors_of_rows",
]

ACTIONS = ("tokens", "words")

# Each keeps a state or a table for the rows of the prompts, which differ from the rows of a search.
_REFUSED_PROCESSORS: tuple[tuple[type, str], ...] = (
    (UnbatchedClassifierFreeGuidanceLogitsProcessor, "guidance_scale"),
    (SynthIDTextWatermarkLogitsProcessor, "watermarking_config=SynthIDTextWatermarkingConfig"),
    (EncoderRepetitionPenaltyLogitsProcessor, "encoder_repetition_penalty"),
    (EncoderNoRepeatNGramLogitsProcessor, "encoder_no_repeat_ngram_size"),
)
_LEARNT_POSITIONS = ("wpe", "embed_positions", "position_embeddings", "position_embedding")


def check_search(scorer: object, beam_length: int, action: str) -> None:
    """Refuse settings with which no search can run.

    Raises:
        ConfigurationError: For a scorer that cannot be called, a beam length below 1, an unknown action.
    """
    if scorer is not None and not callable(scorer):
        raise ConfigurationError(
            f"scorer={scorer!r} cannot be called: pass a RegardScorer, or a function from a list of texts to a tensor "
            "of losses"
        )
    check_count("beam_length", beam_length, "number of tokens")
    check_choice("action", action, ACTIONS)


def check_parts(group: object, tokenizer: object, scorer: object) -> None:
    """Refuse parts from which a search cannot be made.

    Raises:
        ConfigurationError: If the group is not one of words; without a tokenizer; without a scorer.
    """
    if not isinstance(group, DemographicGroup | TokenAction):
        raise ConfigurationError(
            f"group={group!r} is not a DemographicGroup: make one, or use DemographicGroup.preset(name)"
        )
    if tokenizer is None:
        raise ConfigurationError("The search reads and writes texts: pass the model's tokenizer, tokenizer=")
    if scorer is None:
        raise ConfigurationError("The search needs a scorer: pass scorer=, for example hf_equi.RegardScorer()")


def check_tokens(group: DemographicGroup | TokenAction, multi_token: str) -> None:
    """Refuse words of several tokens in a search on tokens, whose drafts are as long as each other.

    Raises:
        ConfigurationError: For such words.
    """
    if multi_token == "compose" or (isinstance(group, TokenAction) and group.composes):
        raise ConfigurationError(
            'multi_token="compose" moves words in the scores of all members, but the search of EquizeroLM does not '
            f"combine those. {WORDS}"
        )


def check_model(model: PreTrainedModel) -> None:
    """Refuse a model that the search cannot run on.

    Raises:
        ConfigurationError: For a model that is symmetrised already.
        UnsupportedModelError: For an encoder-decoder model, or one whose cache cannot hold orbits.
    """
    if hasattr(model, "unwrap"):
        raise ConfigurationError(
            f"The search runs on a base model, not on the wrapper {type(model).__name__}: pass it to "
            'lm.unwrap().generate, or make the model with hf_equi.symmetrize(model, group, method="equizero")'
        )
    if model.config.is_encoder_decoder:
        raise UnsupportedModelError(
            f"{type(model).__name__} is an encoder-decoder model, but the search moves texts that are read from left "
            "to right: load one with AutoModelForCausalLM"
        )
    check_base(model)


def check_call(config: GenerationConfig, processors: LogitsProcessorList) -> None:
    """Refuse settings of `generate` that the search cannot honour.

    Raises:
        ConfigurationError: For another search, for outputs that do not exist, for processors with a state of rows.
    """
    check_settings(lambda name: getattr(config, name, None), (SEARCH,))
    for processor in processors:
        for refused, name in _REFUSED_PROCESSORS:
            if isinstance(processor, refused):
                raise ConfigurationError(
                    f"{name} keeps a state for each prompt's row, but the search takes drafts back and drops rows: "
                    f"leave it out ({type(processor).__name__})"
                )


def check_extras(extras: dict[str, Any], caller: str = "The search") -> None:
    """Refuse inputs that belong to the tokens of the prompts, because the base reads other tokens.

    Args:
        extras: The inputs by name.
        caller: What calls the base, for the message.

    Raises:
        ConfigurationError: For a tensor.
    """
    for name, value in extras.items():
        if isinstance(value, torch.Tensor):
            raise ConfigurationError(
                f"{caller} does not pass {name} to the model, which reads other tokens: leave it out of the call"
            )


def position_limit(model: PreTrainedModel) -> int | None:
    """Return the number of positions that a model has learnt and cannot read past; `None` if it has no such limit."""
    learnt = any(
        isinstance(module, nn.Embedding) and name.rsplit(".", 1)[-1] in _LEARNT_POSITIONS
        for name, module in model.named_modules()
    )
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if learnt and limit else None


def check_length(mask: torch.Tensor, drafted: int, limit: int | None) -> None:
    """Refuse rows that are too long for the model.

    Args:
        mask: `(..., T)`, 0 at padding.
        drafted: The number of tokens drafted after them.
        limit: The limit from `position_limit`.

    Raises:
        ConfigurationError: If a row with its draft is too long.
    """
    if limit is None:
        return
    longest = int((mask != 0).sum(-1).max())
    if longest + drafted - 1 > limit:  # the last drafted token is read in the next round
        raise ConfigurationError(
            f"A member of an orbit has {longest} tokens. With a draft of {drafted} it exceeds the {limit} positions "
            "of the model: shorten the prompts, or use a smaller max_new_tokens"
        )


def processors_of_rows(
    processors: LogitsProcessorList, padding: torch.Tensor, prompts: list[int]
) -> LogitsProcessorList:
    """Return the processors for the rows of a search; `generate` made them for the rows of the prompts.

    Args:
        processors: The processors of `generate`. Those that are changed are copied.
        padding: `(R,)` the number of padding places of each row.
        prompts: The number of the prompt of each row.
    """
    own = LogitsProcessorList(processors)
    for place, processor in enumerate(own):
        if isinstance(getattr(processor, "prompt_ignore_length", None), torch.Tensor):
            own[place] = copy(processor)
            own[place].prompt_ignore_length = padding
    return asked_by_prompt(own, prompts.__getitem__)
