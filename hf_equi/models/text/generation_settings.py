"""What a call of `generate` asks for, read before the call runs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig, StoppingCriteriaList
from transformers.generation import StopStringCriteria
from transformers.utils import ModelOutput

from hf_equi.bases.end_tokens import end_tokens
from hf_equi.checks import check_seed
from hf_equi.errors import ConfigurationError
from hf_equi.generation.settings_table import value_reader

__all__ = ["GenerationSettings", "settings_for_base"]


@dataclass(frozen=True)
class GenerationSettings:
    """The settings that coupling depends on.

    Args:
        do_sample: Whether tokens are drawn.
        num_beams: The number of beams for each prompt.
        num_return_sequences: The number of texts for each prompt.
        keeps_scores: Whether the call returns the scores of each step.
        pad_token_id: The padding token, if any.
        eos_token_ids: The tokens that end a text.
        bos_token_id: The token that begins a text, if any.
        returns_dict: Whether the call returns more than token ids.
    """

    do_sample: bool
    num_beams: int
    num_return_sequences: int
    keeps_scores: bool
    pad_token_id: int | None = None
    eos_token_ids: tuple[int, ...] = ()
    bos_token_id: int | None = None
    returns_dict: bool = False

    @classmethod
    def read(cls, own: GenerationConfig, given: GenerationConfig | None, kwargs: dict[str, Any]) -> GenerationSettings:
        """Read the settings from the arguments of the call, then its config, then the model's own.

        Raises:
            ConfigurationError: If a value is not a token, or names several tokens where one is meant.
        """
        value_of = value_reader(own, given, kwargs)

        def setting(name: str, default: Any) -> Any:
            value = value_of(name)
            return default if value is None else value

        return cls(
            do_sample=bool(setting("do_sample", False)),
            num_beams=int(setting("num_beams", 1)),
            num_return_sequences=int(setting("num_return_sequences", 1)),
            keeps_scores=bool(setting("output_scores", False) and setting("return_dict_in_generate", False)),
            pad_token_id=_only_token("pad_token_id", value_of),
            eos_token_ids=end_tokens(value_of("eos_token_id")),
            bos_token_id=_only_token("bos_token_id", value_of),
            returns_dict=bool(setting("return_dict_in_generate", False)),
        )

    @property
    def samples(self) -> int:
        """The number of independent texts that are decoded for each prompt."""
        return 1 if self.num_beams > 1 else self.num_return_sequences

    @property
    def rows(self) -> int:
        """The number of texts that are decoded at once for each prompt: its beams, or its samples."""
        return max(self.num_beams, self.num_return_sequences)

    def check_seed(self, seed: int | None) -> None:
        """Refuse an invalid seed, and a call that a seed cannot couple.

        Raises:
            ConfigurationError: If it is not a whole number from 0 to 2**63 - 1; for a seed with sampled beams.
        """
        check_seed(seed)
        if seed is not None and self.do_sample and self.num_beams > 1:
            raise ConfigurationError(
                f"seed={seed} couples sampling token by token, but beam search with do_sample=True draws whole beams. "
                "Use num_beams=1, or do_sample=False."
            )

    def begin(self, texts: int, device: torch.device) -> torch.Tensor:
        """Return prompts for a call without any, `(texts, 1)`: the token that begins a text, as in transformers.

        Raises:
            ConfigurationError: If there is no such token.
        """
        if self.bos_token_id is None:
            raise ConfigurationError(
                "There is no prompt and no token that begins a text: pass input_ids with at least one token, or pass "
                "bos_token_id="
            )
        return torch.full((texts, 1), self.bos_token_id, device=device)

    @property
    def noise_mode(self) -> str | None:
        """How the noise acts; `None` for sampled beams, which `generate` draws itself."""
        if self.do_sample:
            return "sample" if self.num_beams == 1 else None
        return "beams" if self.num_beams > 1 else "greedy"

    def expand_samples(self, ids: torch.Tensor, kwargs: dict[str, Any]) -> tuple[torch.Tensor, dict[str, Any]]:
        """Repeat each prompt for its samples, so that each can have a group element of its own."""
        if self.samples == 1:
            return ids, dict(kwargs)

        def repeated(value: Any) -> Any:
            if isinstance(value, ModelOutput):  # encoded sources
                return type(value)(**{name: repeated(entry) for name, entry in value.items()})
            each = isinstance(value, torch.Tensor) and value.shape[:1] == ids.shape[:1]
            return value.repeat_interleave(self.samples, dim=0) if each else value

        expanded = {name: repeated(value) for name, value in kwargs.items()}
        if (allowed := kwargs.get("prefix_allowed_tokens_fn")) is not None:
            expanded["prefix_allowed_tokens_fn"] = lambda row, tokens: allowed(row // self.samples, tokens)
        return ids.repeat_interleave(self.samples, dim=0), {**expanded, "num_return_sequences": 1}


def settings_for_base(
    lm: Any, given: GenerationConfig | None, kwargs: dict[str, Any]
) -> tuple[GenerationConfig, dict[str, Any]]:
    """Return the config and the other arguments with which a model calls the `generate` of its base.

    The base would fill gaps with its own settings, so it is told that there are none. Stop strings become criteria,
    because `generate` finds no tokenizer for them if a callable decodes.

    Args:
        lm: The model, with its base and its tokenizer.
        given: The config of the call.
        kwargs: The other arguments of the call.
    """
    own, base = lm.generation_config, lm.base.generation_config
    config = copy.deepcopy(given or own)
    if given is not None:
        config.update(**own.to_dict(), defaults_only=True, allow_custom_entries=True)
    rest = config.update(**kwargs)
    usual = config._get_default_generation_params()
    for name, value in base.to_dict().items():
        if value is not None and getattr(config, name, None) is None:
            setattr(config, name, usual.get(name))
            if usual.get(name) is None:
                rest[name] = None
    tokenizer = rest.pop("tokenizer", None) or lm.tokenizer
    strings, config.stop_strings = config.stop_strings, None
    if not strings:
        return config, rest
    if getattr(base, "stop_strings", None):
        rest["stop_strings"] = None
    criteria = [*(rest.get("stopping_criteria") or []), StopStringCriteria(tokenizer, strings)]
    return config, {**rest, "stopping_criteria": StoppingCriteriaList(criteria)}


def _only_token(name: str, value_of: Callable[[str], Any]) -> int | None:
    """Return the token that a setting names, if any; some configs store a list with one token."""
    tokens = end_tokens(value_of(name), name)
    if len(tokens) > 1:
        raise ConfigurationError(f"{name}={value_of(name)!r} names {len(tokens)} tokens: name one")
    return tokens[0] if tokens else None
